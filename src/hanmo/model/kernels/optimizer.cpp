// The optimizer's passes over all weights: the norm of the gradients, and AdamW from bf16 gradients to bf16 weights.
#include <vector>

#include "vectors.h"

// Sum of squares of a gradient, in an order that does not depend on the threads.
EXPORT void sum_of_squares(Size threads, const bf16* gradient, Size n, double* total) {
  constexpr Size PART = 1 << 14;
  std::vector<double> parts((n + PART - 1) / PART);
#pragma omp parallel for num_threads(threads) schedule(static)
  for (Size part = 0; part < Size(parts.size()); part++) {
    const bf16* g = gradient + part * PART;
    const Size m = n - part * PART < PART ? n - part * PART : PART, whole = m / LANES * LANES;
    Floats squares = {};
    for (Size i = 0; i < whole; i += LANES) squares += load(g + i) * load(g + i);
    if (m > whole) squares += load_some(g + whole, m - whole) * load_some(g + whole, m - whole);
    parts[part] = sum(squares);
  }
  *total = 0;
  for (double part : parts) *total += part;
}

struct Step {
  float rate, decay, beta1, beta2, epsilon, correction1, correction2, scale;
};

static inline Floats adamw_lanes(Floats weight, Floats gradient, Floats& first, Floats& second, const Step& s) {
  first = first * s.beta1 + gradient * (1 - s.beta1);
  second = second * s.beta2 + gradient * gradient * (1 - s.beta2);
  return weight * (1 - s.rate * s.decay) - s.rate / s.correction1 * first / (root(second) / std::sqrt(s.correction2) + s.epsilon);
}

// weight (bf16, rounded from master), master, first, second (fp32); the gradient is multiplied by s.scale first.
EXPORT void adamw(Size threads, bf16* weight, float* master, float* first, float* second, const bf16* gradient, Size n, const float* step) {
  Step s;
  memcpy(&s, step, sizeof s);
  const Size whole = n / LANES * LANES, rest = n - whole;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (Size i = 0; i < whole; i += LANES) {
    Floats m = load(first + i), v = load(second + i);
    Floats w = adamw_lanes(load(master + i), load(gradient + i) * s.scale, m, v, s);
    store(first + i, m);
    store(second + i, v);
    store(master + i, w);
    store(weight + i, w);
  }
  if (!rest) return;
  Floats m = load_some(first + whole, rest), v = load_some(second + whole, rest);
  Floats w = adamw_lanes(load_some(master + whole, rest), load_some(gradient + whole, rest) * s.scale, m, v, s);
  store_some(first + whole, m, rest);
  store_some(second + whole, v, rest);
  store_some(master + whole, w, rest);
  store_some(weight + whole, w, rest);
}
