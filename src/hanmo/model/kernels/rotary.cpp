// Queries and keys of a fused projection: normalised a head (when asked), then turned by their position. Formulas: norms.py, positions.py.
#include <vector>

#include "vectors.h"

// Sizes shared by both directions; `projected` rows are [q heads | k heads | v heads] of `width`, `turned` rows q and k only.
struct Layout {
  Size rows, positions, query_heads, key_heads, width, projected, turned;
};

// cos, sin [positions][width / 2], repeated when rows > positions, or null; weights [width] or null; a norm scales by shift + weight.
EXPORT void rotary_forward(Size threads, const bf16* x, const float* cos, const float* sin, const bf16* query_weight,
                           const bf16* key_weight, float eps, float shift, bf16* y, const Size* sizes) {
  Layout l;
  memcpy(&l, sizes, sizeof l);
  const Size half = l.width / 2;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (Size i = 0; i < l.rows; i++)
    for (Size h = 0; h < l.query_heads + l.key_heads; h++) {
      const bf16 *from = x + i * l.projected + h * l.width, *weight = h < l.query_heads ? query_weight : key_weight;
      bf16* to = y + i * l.turned + h * l.width;
      float scale = 1;
      if (weight) {
        Floats squares = {};
        for (Size j = 0; j < l.width; j += LANES) squares += load(from + j) * load(from + j);
        scale = 1 / std::sqrt(sum(squares) / l.width + eps);
      }
      for (Size j = 0; j < half; j += LANES) {
        Floats left = load(from + j), right = load(from + half + j);
        if (weight) {
          left *= scale * (load(weight + j) + shift);
          right *= scale * (load(weight + half + j) + shift);
        }
        if (cos) {
          const Size at = i % l.positions * half + j;
          Floats c = load(cos + at), s = load(sin + at), turned = left * c - right * s;
          right = right * c + left * s;
          left = turned;
        }
        store(to + j, left);
        store(to + half + j, right);
      }
    }
}

// In place: `gradient` [rows][projected] comes in for what was turned and leaves for what was projected.
EXPORT void rotary_backward(Size threads, const bf16* x, const float* cos, const float* sin, const bf16* query_weight,
                            const bf16* key_weight, float eps, float shift, bf16* gradient, float* gradient_weights, const Size* sizes) {
  Layout l;
  memcpy(&l, sizes, sizeof l);
  const Size half = l.width / 2;
  std::vector<float> partial(threads * 2 * l.width);
#pragma omp parallel num_threads(threads)
  {
    float* own = &partial[omp_get_thread_num() * 2 * l.width];
#pragma omp for schedule(static)
    for (Size i = 0; i < l.rows; i++)
      for (Size h = 0; h < l.query_heads + l.key_heads; h++) {
        bf16* g = gradient + i * l.projected + h * l.width;
        float turned[l.width];
        for (Size j = 0; j < half; j += LANES) {
          Floats left = load(g + j), right = load(g + half + j);
          if (cos) {
            const Size at = i % l.positions * half + j;
            Floats c = load(cos + at), s = load(sin + at), back = left * c + right * s;
            right = right * c - left * s;
            left = back;
          }
          store(turned + j, left);
          store(turned + half + j, right);
        }
        const bool is_query = h < l.query_heads;
        const bf16 *from = x + i * l.projected + h * l.width, *weight = is_query ? query_weight : key_weight;
        float scale = 1, mean = 0;
        if (weight) {
          float* of_weight = own + (is_query ? 0 : l.width);
          Floats squares = {}, products = {};
          for (Size j = 0; j < l.width; j += LANES) squares += load(from + j) * load(from + j);
          scale = 1 / std::sqrt(sum(squares) / l.width + eps);
          for (Size j = 0; j < l.width; j += LANES) {
            Floats unit = load(from + j) * scale, t = load(turned + j);
            store(of_weight + j, load(of_weight + j) + t * unit);
            products += t * (load(weight + j) + shift) * unit;
          }
          mean = sum(products) / l.width;
        }
        for (Size j = 0; j < l.width; j += LANES) {
          Floats t = load(turned + j);
          if (weight) t = (t * (load(weight + j) + shift) - load(from + j) * scale * mean) * scale;
          store(g + j, t);
        }
      }
  }
  if (!gradient_weights) return;
  for (Size j = 0; j < 2 * l.width; j++) {
    gradient_weights[j] = 0;
    for (Size t = 0; t < threads; t++) gradient_weights[j] += partial[t * 2 * l.width + j];
  }
}
