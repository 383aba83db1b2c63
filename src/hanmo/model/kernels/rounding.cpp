// Weights become codes and scales in the tiles of matrix.h; the numbers of hanmo.model.rounding, a group at a time.
#include <atomic>

#include "product.h"

constexpr float SHARES[] = {-1 / 8.0, -0.95 / 8, -0.9 / 8, -0.85 / 8, -0.8 / 8}, A_STEP = 0.001f;
constexpr Floats WHOLE_CODES = {-8, 7, -7, 6, -6, 5, -5, 4, -4, 3, -3, 2, -2, 1, -1, -1};

// Round to nearest, ties to even.
static uint16_t to_fp16(float x) {
#ifdef __AVX512F__
  return uint16_t(_mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(x), _MM_FROUND_TO_NEAREST_INT), 0));
#else
  const float size = std::fabs(x);
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  if (!(size < 65520)) return sign | (size == size ? 0x7c00 : 0x7e00);
  int exponent;
  std::frexp(size, &exponent);
  if (exponent < -13 || size == 0) exponent = -13;
  return uint16_t(sign + ((exponent + 14) << 10) + int(std::rint(std::ldexp(size, 11 - exponent))) - 1024);
#endif
}
static float as_fp16_keeps(float x) {
  uint16_t half[LANES] = {to_fp16(x)};
  return from_fp16(half)[0];
}
static Floats nearest(Floats x) {
#ifdef __AVX512F__
  return (Floats)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  for (int i = 0; i < LANES; i++) x[i] = std::rint(x[i]);
  return x;
#endif
}
static Floats held(Floats x, float least, float most) { return smaller(larger(x, all(least)), all(most)); }
static Floats size_of(Floats x) { return larger(x, -x); }

// 32 weights of one row as codes, unsigned.
struct Rounded {
  uint8_t codes[GROUP];
  float scale, least;
  bool kept;  // whether the even steps from `least` on are the weights themselves
};

static void put(Rounded& to, Floats left, Floats right, float zero) {
  typedef uint8_t Bytes __attribute__((vector_size(16)));
  const Bytes first = __builtin_convertvector(__builtin_convertvector(left + zero, Integers), Bytes);
  const Bytes second = __builtin_convertvector(__builtin_convertvector(right + zero, Integers), Bytes);
  memcpy(to.codes, &first, LANES);
  memcpy(to.codes + LANES, &second, LANES);
}

static Rounded in_eight_bits(Floats left, Floats right) {
  Rounded to{};
  to.scale = as_fp16_keeps(largest(larger(size_of(left), size_of(right))) / 127);
  const float inverse = to.scale == 0 ? 0 : 1 / to.scale;
  put(to, held(nearest(left * inverse), -127, 127), held(nearest(right * inverse), -127, 127), 128);
  return to;
}

static Rounded in_even_steps(Floats left, Floats right) {
  Rounded to{};
  const float least = -largest(larger(-left, -right)), most = largest(larger(left, right));
  to.scale = as_fp16_keeps((most - least) / 15);
  to.least = as_fp16_keeps(least);
  const float inverse = to.scale == 0 ? 0 : 1 / to.scale;
  left -= least, right -= least;
  const Floats a = held(nearest(left * inverse), 0, 15), b = held(nearest(right * inverse), 0, 15);
  put(to, a, b, 0);
  const float shift = to.least - least;  // left and right have lost the least already
  to.kept = largest(larger(size_of(a * to.scale + shift - left), size_of(b * to.scale + shift - right))) <= to.scale * A_STEP;
  return to;
}

static bool any(Integers truth) {
#ifdef __AVX512F__
  return _mm512_test_epi32_mask((__m512i)truth, (__m512i)truth);
#else
  for (int i = 0; i < LANES; i++)
    if (truth[i]) return true;
  return false;
#endif
}

static Floats as_fp16_keeps(Floats x) {
#ifdef __AVX512F__
  return (Floats)_mm512_cvtph_ps(_mm512_cvtps_ph((__m512)x, _MM_FROUND_TO_NEAREST_INT));
#else
  for (int i = 0; i < LANES; i++) x[i] = as_fp16_keeps(x[i]);
  return x;
#endif
}

static bool are_whole(Floats x) { return !any(size_of(x - nearest(x)) > A_STEP) && !any(x >= 7.5f); }

// The scale of which all of a group are whole multiples -8 ... 7, or 0; `size` is the value farthest from zero.
static float whole_scale(Floats left, Floats right, float size) {
  const Floats scales = size / WHOLE_CODES, kept = as_fp16_keeps(scales);
  if (size == 0) return 0;
  for (int i = 0; i < LANES; i++) {
    if (kept[i] != scales[i]) continue;
    const float inverse = 1 / scales[i];
    if (are_whole(left * inverse) && are_whole(right * inverse)) return scales[i];
  }
  return 0;
}

static Rounded in_four_bits(Floats left, Floats right) {
  Rounded to{};
  const float most = largest(larger(left, right)), least = -largest(larger(-left, -right));
  const float size = most > -least ? most : least;
  if (const float scale = whole_scale(left, right, size)) {
    to.scale = scale;
    put(to, nearest(left * (1 / scale)), nearest(right * (1 / scale)), 8);
    return to;
  }
  float smallest = INFINITY;
  Floats a = {}, b = {};
  for (float share : SHARES) {
    const float scale = as_fp16_keeps(size * share), inverse = scale == 0 ? 0 : 1 / scale;
    const Floats x = held(nearest(left * inverse), -8, 7), y = held(nearest(right * inverse), -8, 7);
    const Floats wrong = x * scale - left, off = y * scale - right;
    const float error = sum(wrong * wrong + off * off);
    if (error < smallest) smallest = error, to.scale = scale, a = x, b = y;
  }
  put(to, a, b, 8);
  return to;
}

static Rounded rounded(Size bits, Floats left, Floats right) {
  return bits == EIGHT ? in_eight_bits(left, right) : bits == FOUR ? in_four_bits(left, right) : in_even_steps(left, right);
}

// weight [rows][columns] to codes, scales and leasts as Matrix has them; `uneven` says that even steps are not these weights.
template <class T>
static void round_all(
    Size threads, const T* weight, Size rows, Size columns, Size bits, uint8_t* codes, uint16_t* scales, uint16_t* leasts, Size* uneven) {
  const Size groups = columns / GROUP, tiles = (rows + LANES - 1) / LANES, bytes = bits == EIGHT ? 512 : 256;
  std::atomic<bool> lost{false};
#pragma omp parallel for num_threads(threads) schedule(static)
  for (Size tile = 0; tile < tiles; tile++) {
    if (lost) continue;
    const Size lanes = rows - tile * LANES < LANES ? rows - tile * LANES : LANES, first = tile * groups;
    memset(codes + first * bytes, 0, groups * bytes);
    memset(scales + first * LANES, 0, groups * LANES * sizeof *scales);
    if (leasts) memset(leasts + first * LANES, 0, groups * LANES * sizeof *leasts);
    for (Size lane = 0; lane < lanes; lane++)
      for (Size g = 0; g < groups; g++) {
        const T* w = weight + (tile * LANES + lane) * columns + g * GROUP;
        const Rounded found = rounded(bits, load(w), load(w + LANES));
        if (bits == FOUR_WITH_LEAST && !found.kept) lost = true;
        scales[(first + g) * LANES + lane] = to_fp16(found.scale);
        if (leasts) leasts[(first + g) * LANES + lane] = to_fp16(found.least);
        uint8_t* to = codes + (first + g) * bytes + 4 * lane;
        for (Size quad = 0; quad < 8; quad++)
          for (Size i = 0; i < 4; i++)
            if (bits == EIGHT)
              to[64 * quad + i] = found.codes[4 * quad + i];
            else
              to[64 * (quad / 2) + i] |= uint8_t(found.codes[4 * quad + i] << (quad % 2 ? 4 : 0));
      }
  }
  *uneven = lost;
}

// The weights are fp32, or bf16 where `halves` says so.
EXPORT void round_weights(Size threads, const void* weight, Size halves, Size rows, Size columns, Size bits, uint8_t* codes,
                          uint16_t* scales, uint16_t* leasts, Size* uneven) {
  if (halves) round_all(threads, (const bf16*)weight, rows, columns, bits, codes, scales, leasts, uneven);
  else round_all(threads, (const float*)weight, rows, columns, bits, codes, scales, leasts, uneven);
}
