// Activations: value and slope together. Formulas: mlp.py.
#pragma once
#include "vectors.h"

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

// `kind` as in functions.ACTIVATION_KINDS.
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
