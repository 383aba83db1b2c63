// Everything that works element by element or row by row: one pass over memory each. Formulas: norms.py, mlp.py, likelihood.py.
#include <vector>

#include "vectors.h"

// ---- residual sum and normalisation ----

// sum = x + update (when there is one), y = normalised sum, scaled by shift + weight; statistics [n][2] hold mean and 1 / deviation of each row.
template <bool CENTRED>
static void norm_rows(Size threads, const bf16* x, const bf16* update, const bf16* weight, const bf16* bias, float eps,
                      float shift, bf16* total, bf16* y, float* statistics, Size n, Size d) {
#pragma omp parallel for num_threads(threads)
  for (Size i = 0; i < n; i++) {
    std::vector<float> row(d);
    Floats first = {}, second = {};
    for (Size j = 0; j < d; j += LANES) {
      Floats v = load(x + i * d + j);
      if (update) {
        store(total + i * d + j, v + load(update + i * d + j));
        v = load(total + i * d + j);
      }
      store(&row[j], v);
      first += v;
      second += v * v;
    }
    float mean = CENTRED ? sum(first) / d : 0, variance = sum(second) / d;
    if (CENTRED) {
      second = (Floats){};
      for (Size j = 0; j < d; j += LANES) {
        Floats v = load(&row[j]) - mean;
        second += v * v;
      }
      variance = sum(second) / d;
    }
    float scale = 1 / std::sqrt(variance + eps);
    statistics[2 * i] = mean;
    statistics[2 * i + 1] = scale;
    for (Size j = 0; j < d; j += LANES) {
      Floats v = (load(&row[j]) - mean) * scale * (load(weight + j) + shift);
      store(y + i * d + j, bias ? v + load(bias + j) : v);
    }
  }
}

// gradient_x = gradient through the norm + gradient of the sum (when given); gradient_parameters [2][d]: weight, bias.
template <bool CENTRED>
static void norm_rows_backward(Size threads, const bf16* gradient_y, const bf16* gradient_sum, const bf16* x, const bf16* weight,
                               float shift, const float* statistics, bf16* gradient_x, float* gradient_parameters, Size n, Size d) {
  std::vector<float> partial(threads * 2 * d);
#pragma omp parallel num_threads(threads)
  {
    float *of_weight = &partial[omp_get_thread_num() * 2 * d], *of_bias = of_weight + d;
#pragma omp for schedule(static)
    for (Size i = 0; i < n; i++) {
      float mean = statistics[2 * i], scale = statistics[2 * i + 1];
      Floats first = {}, second = {};
      for (Size j = 0; j < d; j += LANES) {
        Floats g = load(gradient_y + i * d + j), unit = (load(x + i * d + j) - mean) * scale;
        Floats t = g * (load(weight + j) + shift);
        first += t;
        second += t * unit;
        store(of_weight + j, load(of_weight + j) + g * unit);
        if (CENTRED) store(of_bias + j, load(of_bias + j) + g);
      }
      float mean_t = CENTRED ? sum(first) / d : 0, mean_tu = sum(second) / d;
      for (Size j = 0; j < d; j += LANES) {
        Floats unit = (load(x + i * d + j) - mean) * scale;
        Floats v = (load(gradient_y + i * d + j) * (load(weight + j) + shift) - mean_t - unit * mean_tu) * scale;
        store(gradient_x + i * d + j, gradient_sum ? v + load(gradient_sum + i * d + j) : v);
      }
    }
  }
  for (Size j = 0; j < 2 * d; j++) {
    float total = 0;
    for (Size t = 0; t < threads; t++) total += partial[t * 2 * d + j];
    gradient_parameters[j] = total;
  }
}

EXPORT void norm_forward(Size threads, Size centred, const bf16* x, const bf16* update, const bf16* weight, const bf16* bias, float eps,
                         float shift, bf16* total, bf16* y, float* statistics, Size n, Size d) {
  (centred ? norm_rows<true> : norm_rows<false>)(threads, x, update, weight, bias, eps, shift, total, y, statistics, n, d);
}

EXPORT void norm_backward(Size threads, Size centred, const bf16* gradient_y, const bf16* gradient_sum, const bf16* x, const bf16* weight,
                          float shift, const float* statistics, bf16* gradient_x, float* gradient_parameters, Size n, Size d) {
  (centred ? norm_rows_backward<true> : norm_rows_backward<false>)(threads, gradient_y, gradient_sum, x, weight, shift, statistics,
                                                                  gradient_x, gradient_parameters, n, d);
}

// ---- activations: value and slope together ----

struct Curve {
  Floats value, slope;
};

struct Silu {
  static Curve at(Floats x) {
    Floats s = sigmoid(x);
    return {x * s, s * (1.0f + x * (1.0f - s))};
  }
};
struct GeluTanh {  // x (1 + tanh u) / 2 = x sigmoid(2u)
  static Curve at(Floats x) {
    constexpr float ROOT = 1.5957691216f, CUBE = 0.044715f;  // 2 sqrt(2 / pi)
    Floats near = smaller(larger(x, all(-20)), all(20)), square = near * near;  // beyond it, 0 or 1; its cube would overflow
    Floats s = sigmoid(ROOT * near * (1.0f + CUBE * square));
    return {x * s, s + near * s * (1.0f - s) * ROOT * (1.0f + 3 * CUBE * square)};
  }
};
struct Gelu {  // Phi by Abramowitz and Stegun 7.1.26, absolute error below 1e-7
  static Curve at(Floats x) {
    Floats z = smaller(larger(x, -x) * 0.70710678f, all(9)), t = inverse(1.0f + 0.3275911f * z), e = exp(-z * z);
    Floats p = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
    Floats tail = 0.5f * p * e, phi = x > 0 ? 1.0f - tail : tail;
    return {x * phi, phi + x * 0.39894228f * e};
  }
};
struct Relu {
  static Curve at(Floats x) { return {larger(x, (Floats){}), x > 0 ? all(1) : (Floats){}}; }
};
struct Relu2 {
  static Curve at(Floats x) {
    Floats r = larger(x, (Floats){});
    return {r * r, 2.0f * r};
  }
};

// Ungated: x [n][d], y = act(x). Gated: x [n][2 d] holds gate and up side by side, y = act(gate) up.
template <class Act, bool GATED>
static void activate(Size threads, const bf16* x, bf16* y, Size n, Size d) {
  const Size width = GATED ? 2 * d : d;
#pragma omp parallel for num_threads(threads)
  for (Size i = 0; i < n; i++)
    for (Size j = 0; j < d; j += LANES) {
      Floats v = Act::at(load(x + i * width + j)).value;
      store(y + i * d + j, GATED ? v * load(x + i * width + d + j) : v);
    }
}

template <class Act, bool GATED>
static void activate_backward(Size threads, const bf16* gradient_y, const bf16* x, bf16* gradient_x, Size n, Size d) {
  const Size width = GATED ? 2 * d : d;
#pragma omp parallel for num_threads(threads)
  for (Size i = 0; i < n; i++)
    for (Size j = 0; j < d; j += LANES) {
      Curve act = Act::at(load(x + i * width + j));
      Floats g = load(gradient_y + i * d + j);
      if (GATED) {
        store(gradient_x + i * width + j, g * act.slope * load(x + i * width + d + j));
        store(gradient_x + i * width + d + j, g * act.value);
      } else {
        store(gradient_x + i * width + j, g * act.slope);
      }
    }
}

#define FOR_EACH_ACTIVATION(function, ...)                                                          \
  switch (2 * kind + gated) {                                                                       \
    case 0: return function<Silu, false>(__VA_ARGS__);                                              \
    case 1: return function<Silu, true>(__VA_ARGS__);                                               \
    case 2: return function<Gelu, false>(__VA_ARGS__);                                              \
    case 3: return function<Gelu, true>(__VA_ARGS__);                                               \
    case 4: return function<GeluTanh, false>(__VA_ARGS__);                                          \
    case 5: return function<GeluTanh, true>(__VA_ARGS__);                                           \
    case 6: return function<Relu, false>(__VA_ARGS__);                                              \
    case 7: return function<Relu, true>(__VA_ARGS__);                                               \
    case 8: return function<Relu2, false>(__VA_ARGS__);                                             \
    case 9: return function<Relu2, true>(__VA_ARGS__);                                              \
  }

EXPORT void activation_forward(Size threads, Size kind, Size gated, const bf16* x, bf16* y, Size n, Size d) {
  FOR_EACH_ACTIVATION(activate, threads, x, y, n, d)
}

EXPORT void activation_backward(Size threads, Size kind, Size gated, const bf16* gradient_y, const bf16* x, bf16* gradient_x, Size n, Size d) {
  FOR_EACH_ACTIVATION(activate_backward, threads, gradient_y, x, gradient_x, n, d)
}

// ---- dropout ----

// A hash of each element's number decides, so nothing is kept for the way back (bit mixer: Wellons 2018, "lowbias32").
static inline Words mixed(Words x) {
  x ^= x >> 16;
  x *= 0x7feb352du;
  x ^= x >> 15;
  x *= 0x846ca68bu;
  return x ^ (x >> 16);
}

// y = x / (1 - share), or 0 with probability `share`; n % LANES = 0
EXPORT void dropout(Size threads, const bf16* x, bf16* y, float share, Size seed, Size n) {
  const uint32_t border = uint32_t(share * 4294967296.0);
  const float scale = 1 / (1 - share);
  const Words low = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#pragma omp parallel for num_threads(threads) schedule(static)
  for (Size i = 0; i < n; i += LANES) {
    const Words key = mixed((uint32_t(i) + low) ^ uint32_t(seed)) + (uint32_t(seed >> 32) ^ uint32_t(i >> 32));
    store(y + i, mixed(key) >= border ? load(x + i) * scale : (Floats){});
  }
}

// ---- sum over rows: the gradient of a bias ----

EXPORT void column_sums(Size threads, const bf16* x, bf16* y, Size n, Size d) {
  std::vector<float> partial(threads * d);
#pragma omp parallel num_threads(threads)
  {
    float* own = &partial[omp_get_thread_num() * d];
#pragma omp for schedule(static)
    for (Size i = 0; i < n; i++)
      for (Size j = 0; j < d; j += LANES) store(own + j, load(own + j) + load(x + i * d + j));
  }
  for (Size j = 0; j < d; j += LANES) {
    Floats total = {};
    for (Size t = 0; t < threads; t++) total += load(&partial[t * d + j]);
    store(y + j, total);
  }
}

// ---- cross-entropy: logits [n][v] become their own gradient in place ----

// nats[i] = -log p(target) mixed with label smoothing; gradient = weight (softmax - (1 - s) onehot - s / v).
EXPORT void cross_entropy(Size threads, bf16* logits, const Size* targets, const float* weights, float smoothing, float* nats, Size n,
                          Size v, Size stride, Size with_gradient) {
  const Size whole = v / LANES * LANES, rest = v - whole;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (Size i = 0; i < n; i++) {
    bf16* z = logits + i * stride;
    Floats most = all(-FAR_AWAY), total = {}, plain = {};
    for (Size j = 0; j < whole; j += LANES) most = larger(most, load(z + j));
    if (rest) most = larger(most, load_some(z + whole, rest, -FAR_AWAY));
    const float top = largest(most), shift = top * LOG2_E;
    for (Size j = 0; j < whole; j += LANES) {
      Floats x = load(z + j);
      total += exp2(x * LOG2_E - shift);
      plain += x;
    }
    float sum_exp = sum(total), sum_plain = sum(plain);
    for (Size j = whole; j < v; j++) {
      sum_exp += std::exp(widen(z[j]) - top);
      sum_plain += widen(z[j]);
    }
    const float log_sum = top + std::log(sum_exp), target = widen(z[targets[i]]);
    nats[i] = log_sum - (1 - smoothing) * target - (smoothing ? smoothing * sum_plain / v : 0);
    if (!with_gradient) continue;
    const float weight = weights[i], down = weight * smoothing / v, scaled = log_sum * LOG2_E;
    for (Size j = 0; j < whole; j += LANES) store(z + j, exp2(load(z + j) * LOG2_E - scaled) * weight - down);
    if (rest) store_some(z + whole, exp(load_some(z + whole, rest) - log_sum) * weight - down, rest);
    Floats own = all(weight * (std::exp(target - log_sum) - (1 - smoothing)) - down);
    z[targets[i]] = narrow(own)[0];
  }
}
