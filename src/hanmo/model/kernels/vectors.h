// Sixteen floats at a time: bf16 in memory, fp32 in registers. GCC and Clang vector extensions, so any CPU will do.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#ifdef __AVX512F__
#include <immintrin.h>
#endif
#ifdef _OPENMP
#include <omp.h>
#else
static inline int omp_get_thread_num() { return 0; }
static inline int omp_get_num_threads() { return 1; }
#endif

#define EXPORT extern "C" __attribute__((visibility("default")))

typedef uint16_t bf16;
typedef int64_t Size;
typedef float Floats __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef int32_t Integers __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));

constexpr int LANES = 16;

static inline Floats all(float x) { return x - (Floats){}; }

// Round to nearest, ties to even.
static inline Halves narrow(Floats x) {
#ifdef __AVX512BF16__
  return (Halves)_mm512_cvtneps_pbh((__m512)x);
#else
  Words bits = (Words)x;
  Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return __builtin_convertvector(x == x ? rounded : (bits >> 16) | 0x40, Halves);
#endif
}

static inline Words spread(Halves x) { return __builtin_convertvector(x, Words); }
static inline Floats widen(Halves x) { return (Floats)(spread(x) << 16); }
static inline float widen(bf16 x) {
  uint32_t bits = uint32_t(x) << 16;
  float y;
  memcpy(&y, &bits, 4);
  return y;
}

static inline Halves load_halves(const bf16* p) {
  Halves x;
  memcpy(&x, p, sizeof x);
  return x;
}
static inline Floats load(const bf16* p) { return widen(load_halves(p)); }
static inline Floats load(const float* p) {
  Floats x;
  memcpy(&x, p, sizeof x);
  return x;
}
static inline void store(bf16* p, Floats x) {
  Halves y = narrow(x);
  memcpy(p, &y, sizeof y);
}
static inline void store(float* p, Floats x) { memcpy(p, &x, sizeof x); }

// The last n < LANES elements of an array; lanes behind them hold `fill`.
template <class T>
static inline Floats load_some(const T* p, Size n, float fill = 0) {
  T part[LANES] = {};
  memcpy(part, p, n * sizeof(T));
  Floats loaded = load(part), x = all(fill);
  for (Size i = 0; i < n; i++) x[i] = loaded[i];
  return x;
}
template <class T>
static inline void store_some(T* p, Floats x, Size n) {
  T part[LANES];
  store(part, x);
  memcpy(p, part, n * sizeof(T));
}

static inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }
static inline Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
static inline float sum(Floats x) {
#ifdef __AVX512F__
  return _mm512_reduce_add_ps((__m512)x);
#else
  float total = 0;
  for (int i = 0; i < LANES; i++) total += x[i];
  return total;
#endif
}
static inline float largest(Floats x) {
#ifdef __AVX512F__
  return _mm512_reduce_max_ps((__m512)x);
#else
  float most = x[0];
  for (int i = 1; i < LANES; i++) most = x[i] > most ? x[i] : most;
  return most;
#endif
}
static inline Floats root(Floats x) {
#ifdef __AVX512F__
  return (Floats)_mm512_sqrt_ps((__m512)x);
#else
  Floats y;
  for (int i = 0; i < LANES; i++) y[i] = std::sqrt(x[i]);
  return y;
#endif
}

// 2^x = 2^n 2^f with |f| <= 1/2 and a polynomial near 2^f; relative error 4e-6, which bf16 does not see. Finite x only.
static inline Floats exp2(Floats x) {
#ifdef __AVX512F__
  const Floats n = (Floats)_mm512_roundscale_ps((__m512)x, 0), f = x - n;
#else
  x = smaller(larger(x, all(-126.0f)), all(127.0f));
  const Floats shifted = x + 12582912.0f;  // 1.5 * 2^23: the fraction falls off, the integer stays in the low bits
  const Floats f = x - (shifted - 12582912.0f);
#endif
  Floats p = all(9.6760371e-3f);
  p = p * f + 5.5922036e-2f;
  p = p * f + 2.4022108e-1f;
  p = p * f + 6.9312103e-1f;
  p = p * f + 1.0f;
#ifdef __AVX512F__
  return (Floats)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  return (Floats)((Integers)p + ((Integers)shifted << 23));
#endif
}
constexpr float LOG2_E = 1.44269504f;
static inline Floats exp(Floats x) { return exp2(x * LOG2_E); }
static inline Floats inverse(Floats x) {
#ifdef __AVX512F__
  Floats y = (Floats)_mm512_rcp14_ps((__m512)x);
  return y * (2.0f - x * y);
#else
  return 1.0f / x;
#endif
}
// Held above 2^-125, where the inverse is still a normal number.
static inline Floats sigmoid(Floats x) { return inverse(1.0f + exp2(smaller(x * -LOG2_E, all(125)))); }
constexpr float FAR_AWAY = 1e30f;  // minus this: a score that has no share, and no NaN either
