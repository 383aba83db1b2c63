// Causal attention without the upper triangle, blocks of queries in cache: softmax(Q K^T / sqrt(W)) V and its gradient.
//
// A matrix product takes pairs of bf16 (one 32-bit word) along the summed dimension: the left operand is read as single
// words, the right one as rows of words. `first` [rows][tokens], not falling, is the first key that each query may see.
#include <algorithm>
#include <memory>

#include "vectors.h"

EXPORT Size attention_is_supported() {
#ifdef __AVX512BF16__
  return 1;
#else
  return 0;
#endif
}

#ifdef __AVX512BF16__

typedef uint32_t Pair;

struct Layout {
  Size rows, tokens, query_heads, key_heads, width;
  Size query_stride, key_stride, value_stride, gradient_stride;  // elements from one token to the next
};

constexpr int QUERIES = 32, KEYS = 64;  // a block of scores

struct Release {
  void operator()(void* p) const { free(p); }
};
template <class T>
using Buffer = std::unique_ptr<T[], Release>;
template <class T>
static Buffer<T> reserve(Size n) {
  return Buffer<T>((T*)aligned_alloc(64, (n * sizeof(T) + 63) / 64 * 64));
}

// c [4][16 N] (+)= a b, a [4] rows `row` words apart and summed `step` words apart, b [k][...] with `b_stride` words a row
template <int N, bool ADD>
static inline void multiply_tile(int k, const Pair* a, Size row, Size step, const Pair* b, Size b_stride, float* c, Size c_stride) {
  __m512 sums[4][N];
  for (int m = 0; m < 4; m++)
    for (int n = 0; n < N; n++) sums[m][n] = ADD ? _mm512_loadu_ps(c + m * c_stride + n * 16) : _mm512_setzero_ps();
  for (int i = 0; i < k; i++) {
    __m512i right[N];
    for (int n = 0; n < N; n++) right[n] = _mm512_loadu_si512(b + i * b_stride + n * 16);
    for (int m = 0; m < 4; m++) {
      __m512i left = _mm512_set1_epi32(a[m * row + i * step]);
      for (int n = 0; n < N; n++) sums[m][n] = _mm512_dpbf16_ps(sums[m][n], (__m512bh)right[n], (__m512bh)left);
    }
  }
  for (int m = 0; m < 4; m++)
    for (int n = 0; n < N; n++) _mm512_storeu_ps(c + m * c_stride + n * 16, sums[m][n]);
}

// rows a multiple of 4, columns a multiple of 16; every 64 columns of b begin `b_block` words behind the last
template <bool ADD>
static void multiply(int rows, int columns, int k, const Pair* a, Size row, Size step, const Pair* b, Size b_stride, Size b_block, float* c,
                     Size c_stride) {
  for (int n = 0; n < columns; n += 64, b += b_block)
    for (int m = 0; m < rows; m += 4) switch (std::min(4, (columns - n) / 16)) {
        case 4: multiply_tile<4, ADD>(k, a + m * row, row, step, b, b_stride, c + m * c_stride + n, c_stride); break;
        case 3: multiply_tile<3, ADD>(k, a + m * row, row, step, b, b_stride, c + m * c_stride + n, c_stride); break;
        case 2: multiply_tile<2, ADD>(k, a + m * row, row, step, b, b_stride, c + m * c_stride + n, c_stride); break;
        case 1: multiply_tile<1, ADD>(k, a + m * row, row, step, b, b_stride, c + m * c_stride + n, c_stride);
      }
}

// Rows of a head lie far apart, where the processor does not look ahead by itself; a fetch past the end is harmless.
static inline void fetch(const bf16* x, Size stride, Size rows, Size width) {
  for (Size i = 0; i < rows; i++)
    for (Size w = 0; w < width; w += 32) __builtin_prefetch(x + i * stride + w);
}

// x [tokens][width] -> [padded / 2][width] words of two neighbouring tokens, zeros behind the last
static void pair_tokens(const bf16* x, Size stride, Size tokens, Size padded, Size width, Pair* out) {
  for (Size t = 0; t < padded; t += 2) {
    fetch(x + (t + 24) * stride, stride, 2, width);
    for (Size w = 0; w < width; w += LANES) {
      Words low = {}, high = {};
      if (t < tokens) low = spread(load_halves(x + t * stride + w));
      if (t + 1 < tokens) high = spread(load_halves(x + (t + 1) * stride + w));
      low |= high << 16;
      memcpy(out + t / 2 * width + w, &low, sizeof low);
    }
  }
}

// One of the four rounds that transpose 16 x 16 words: rows STEP apart exchange every second run of STEP words.
template <int STEP>
static inline void exchange(__m512i* rows) {
  Words low, high;
  for (int i = 0; i < 16; i++) {
    low[i] = i & STEP ? 16 + i - STEP : i;
    high[i] = i & STEP ? 16 + i : i + STEP;
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) {
    if (i & STEP) continue;
    __m512i first = rows[i], second = rows[i + STEP];
    rows[i] = _mm512_permutex2var_epi32(first, (__m512i)low, second);
    rows[i + STEP] = _mm512_permutex2var_epi32(first, (__m512i)high, second);
  }
}

// x [tokens][width] -> [padded / 64][width / 2][64] words of two neighbouring elements of a token, zeros behind the last: a
// block of 64 keys lies together, as rows far apart would fall on the same lines of the cache
static void pair_elements(const bf16* x, Size stride, Size tokens, Size padded, Size width, Pair* out) {
  for (Size t = 0; t < padded; t += 16) {
    fetch(x + (t + 32) * stride, stride, 16, width);
    for (Size w = 0; w < width / 2; w += 16) {
      const int words = std::min(Size(16), width / 2 - w);
      __m512i block[16];
      for (int i = 0; i < 16; i++)
        block[i] = t + i < tokens ? _mm512_maskz_loadu_epi32((1 << words) - 1, x + (t + i) * stride + 2 * w) : _mm512_setzero_si512();
      exchange<1>(block);
      exchange<2>(block);
      exchange<4>(block);
      exchange<8>(block);
      Pair* to = out + (t / 64 * (width / 2) + w) * 64 + t % 64;
      for (int j = 0; j < words; j++) _mm512_storeu_si512(to + j * 64, block[j]);
    }
  }
}

// Rows `from` ... of x, QUERIES of them, zeros behind the last token.
static void copy_block(const bf16* x, Size stride, Size from, Size tokens, Size width, bf16* out) {
  for (Size i = 0; i < QUERIES; i++)
    if (from + i < tokens)
      memcpy(out + i * width, x + (from + i) * stride, width * 2);
    else
      memset(out + i * width, 0, width * 2);
}

// No share for the keys low ... high - 1 that a query may not see.
static void hide(float* scores, Size stride, Size low, Size high, Size query, Size count, const int* first) {
  for (Size i = 0; i < count; i++) {
    float* row = scores + i * stride;
    for (Size j = low; first && j < std::min(high, Size(first[query + i])); j++) row[j - low] = -FAR_AWAY;
    for (Size j = std::max(query + i + 1, low); j < high; j++) row[j - low] = -FAR_AWAY;
  }
}

static Size round_up(Size x, Size to) { return (x + to - 1) / to * to; }

// out [rows][tokens][query_heads * width]; log_sums [rows][query_heads][tokens] in powers of two, for the way back
EXPORT void attention_forward(Size threads, const bf16* q, const bf16* k, const bf16* v, const int* first, float scale, bf16* out,
                              float* log_sums, const Size* sizes) {
  Layout l;
  memcpy(&l, sizes, sizeof l);
  const Size T = l.tokens, W = l.width, padded = round_up(T, KEYS), group = l.query_heads / l.key_heads, out_stride = l.query_heads * W;
  const float to_bits = scale * LOG2_E;
#pragma omp parallel num_threads(threads)
  {
    auto keys = reserve<Pair>(padded * W / 2), values = reserve<Pair>(padded * W / 2);
    auto scores = reserve<float>(QUERIES * padded), mixed = reserve<float>(QUERIES * W);
    auto shares = reserve<bf16>(QUERIES * padded), queries = reserve<bf16>(QUERIES * W);
#pragma omp for schedule(dynamic, 1)
    for (Size task = 0; task < l.rows * l.key_heads; task++) {
      const Size row = task / l.key_heads, key_head = task % l.key_heads;
      pair_elements(k + row * T * l.key_stride + key_head * W, l.key_stride, T, padded, W, keys.get());
      pair_tokens(v + row * T * l.value_stride + key_head * W, l.value_stride, T, padded, W, values.get());
      const int* see = first ? first + row * T : nullptr;
      for (Size head = key_head * group; head < (key_head + 1) * group; head++)
        for (Size at = 0; at < T; at += QUERIES) {
          const Size count = std::min(Size(QUERIES), T - at), low = see ? see[at] / KEYS * KEYS : 0, n = at + QUERIES - low;
          copy_block(q + row * T * l.query_stride + head * W, l.query_stride, at, T, W, queries.get());
          multiply<false>(QUERIES, n, W / 2, (Pair*)queries.get(), W / 2, 1, &keys[low * (W / 2)], KEYS, KEYS * (W / 2), scores.get(), n);
          hide(scores.get(), n, low, low + n, at, count, see);
          float inverse[QUERIES];
          for (Size i = 0; i < count; i++) {
            const float* s = scores.get() + i * n;
            Floats most = all(-FAR_AWAY), total = {};
            for (Size j = 0; j < n; j += LANES) most = larger(most, load(s + j));
            const float top = largest(most) * to_bits;
            for (Size j = 0; j < n; j += LANES) {
              Floats e = exp2(load(s + j) * to_bits - top);
              total += e;
              store(shares.get() + i * n + j, e);
            }
            inverse[i] = 1 / sum(total);
            log_sums[(row * l.query_heads + head) * T + at + i] = top - std::log2(inverse[i]);
          }
          multiply<false>(QUERIES, W, n / 2, (Pair*)shares.get(), n / 2, 1, &values[low / 2 * W], W, KEYS, mixed.get(), W);
          bf16* to = out + (row * T + at) * out_stride + head * W;
          for (Size i = 0; i < count; i++)
            for (Size w = 0; w < W; w += LANES) store(to + i * out_stride + w, load(mixed.get() + i * W + w) * inverse[i]);
        }
    }
  }
}

// What one thread needs on the way back, for one key head and one block of queries.
struct Workspace {
  Buffer<Pair> keys, values, key_rows, queries, gradients, shares, slopes;
  Buffer<bf16> query_block, gradient_block, slope_rows;
  Buffer<float> scores, pulls, gradient_q, gradient_k, gradient_v;
  Workspace(Size padded, Size W)
      : keys(reserve<Pair>(padded * W / 2)), values(reserve<Pair>(padded * W / 2)), key_rows(reserve<Pair>(padded * W / 2)),
        queries(reserve<Pair>(QUERIES * W / 2)), gradients(reserve<Pair>(QUERIES * W / 2)), shares(reserve<Pair>(QUERIES / 2 * KEYS)),
        slopes(reserve<Pair>(QUERIES / 2 * KEYS)), query_block(reserve<bf16>(QUERIES * W)), gradient_block(reserve<bf16>(QUERIES * W)),
        slope_rows(reserve<bf16>(QUERIES * KEYS)), scores(reserve<float>(QUERIES * KEYS)), pulls(reserve<float>(QUERIES * KEYS)),
        gradient_q(reserve<float>(QUERIES * W)), gradient_k(reserve<float>(padded * W)), gradient_v(reserve<float>(padded * W)) {}
};

// P = 2^(s - log sum) and dS = P (dP - delta) scale for n keys, rounded, in the layouts that the three products ask for.
static void share_and_slope(Workspace& work, Size n, float scale, const float* log_sums, const float* deltas) {
  const __m512i interleave = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4,
                                              19, 3, 18, 2, 17, 1, 16, 0);
  const float to_bits = scale * LOG2_E;
  for (Size i = 0; i < QUERIES; i += 2) {
    const float log_0 = log_sums[i], log_1 = log_sums[i + 1], delta_0 = deltas[i] * scale, delta_1 = deltas[i + 1] * scale;
    for (Size j = 0; j < n; j += LANES) {
      const float *score = &work.scores[i * KEYS + j], *pull = &work.pulls[i * KEYS + j];
      Floats p_0 = exp2(load(score) * to_bits - log_0), p_1 = exp2(load(score + KEYS) * to_bits - log_1);
      Floats s_0 = p_0 * (load(pull) * scale - delta_0), s_1 = p_1 * (load(pull + KEYS) * scale - delta_1);
      __m512i p = (__m512i)_mm512_cvtne2ps_pbh((__m512)p_1, (__m512)p_0), s = (__m512i)_mm512_cvtne2ps_pbh((__m512)s_1, (__m512)s_0);
      _mm512_storeu_si512(&work.shares[i / 2 * KEYS + j], _mm512_permutexvar_epi16(interleave, p));
      _mm512_storeu_si512(&work.slopes[i / 2 * KEYS + j], _mm512_permutexvar_epi16(interleave, s));
      _mm256_storeu_si256((__m256i*)&work.slope_rows[i * KEYS + j], _mm512_castsi512_si256(s));
      _mm256_storeu_si256((__m256i*)&work.slope_rows[(i + 1) * KEYS + j], _mm512_extracti64x4_epi64(s, 1));
    }
  }
}

// One block of queries against all keys it sees; adds to the gradients of keys and values, leaves that of the queries.
static void block_backward(Workspace& work, Size W, Size at, Size count, float scale, const int* first, const float* log_sums,
                           const float* deltas) {
  const Size low = first ? first[at] / KEYS * KEYS : 0, high = at + QUERIES, block = KEYS * (W / 2);
  memset(work.gradient_q.get(), 0, QUERIES * W * sizeof(float));
  for (Size key = low; key < high; key += KEYS) {
    const Size n = std::min(Size(KEYS), high - key);
    multiply<false>(QUERIES, n, W / 2, (Pair*)work.query_block.get(), W / 2, 1, &work.keys[key * (W / 2)], KEYS, block, work.scores.get(), KEYS);
    multiply<false>(QUERIES, n, W / 2, (Pair*)work.gradient_block.get(), W / 2, 1, &work.values[key * (W / 2)], KEYS, block, work.pulls.get(), KEYS);
    if (key + n > at || (first && first[at + count - 1] > key)) hide(work.scores.get(), KEYS, key, key + n, at, count, first);
    share_and_slope(work, n, scale, log_sums, deltas);
    multiply<true>(n, W, QUERIES / 2, work.shares.get(), 1, KEYS, work.gradients.get(), W, KEYS, &work.gradient_v[key * W], W);
    multiply<true>(n, W, QUERIES / 2, work.slopes.get(), 1, KEYS, work.queries.get(), W, KEYS, &work.gradient_k[key * W], W);
    multiply<true>(QUERIES, W, n / 2, (Pair*)work.slope_rows.get(), KEYS / 2, 1, &work.key_rows[key / 2 * W], W, KEYS, work.gradient_q.get(), W);
  }
}

static void write_rows(const float* x, Size n, Size W, bf16* out, Size stride) {
  for (Size i = 0; i < n; i++)
    for (Size w = 0; w < W; w += LANES) store(out + i * stride + w, load(x + i * W + w));
}

// gradient_q, gradient_k, gradient_v are parts of rows that are gradient_stride apart
EXPORT void attention_backward(Size threads, const bf16* q, const bf16* k, const bf16* v, const int* first, float scale, const bf16* out,
                               const float* log_sums, const bf16* gradient_out, bf16* gradient_q, bf16* gradient_k, bf16* gradient_v,
                               const Size* sizes) {
  Layout l;
  memcpy(&l, sizes, sizeof l);
  const Size T = l.tokens, W = l.width, padded = round_up(T, KEYS), group = l.query_heads / l.key_heads, out_stride = l.query_heads * W;
#pragma omp parallel num_threads(threads)
  {
    Workspace work(padded, W);
#pragma omp for schedule(dynamic, 1)
    for (Size task = 0; task < l.rows * l.key_heads; task++) {
      const Size row = task / l.key_heads, key_head = task % l.key_heads;
      const bf16 *row_k = k + row * T * l.key_stride + key_head * W, *row_v = v + row * T * l.value_stride + key_head * W;
      pair_elements(row_k, l.key_stride, T, padded, W, work.keys.get());
      pair_tokens(row_k, l.key_stride, T, padded, W, work.key_rows.get());
      pair_elements(row_v, l.value_stride, T, padded, W, work.values.get());
      memset(work.gradient_k.get(), 0, padded * W * sizeof(float));
      memset(work.gradient_v.get(), 0, padded * W * sizeof(float));
      for (Size head = key_head * group; head < (key_head + 1) * group; head++)
        for (Size at = 0; at < T; at += QUERIES) {
          const Size count = std::min(Size(QUERIES), T - at), here = (row * T + at) * out_stride + head * W;
          float deltas[QUERIES] = {}, logs[QUERIES];
          std::fill_n(logs, QUERIES, FAR_AWAY);
          for (Size i = 0; i < count; i++) {
            Floats total = {};
            for (Size w = 0; w < W; w += LANES) total += load(gradient_out + here + i * out_stride + w) * load(out + here + i * out_stride + w);
            deltas[i] = sum(total);
            logs[i] = log_sums[(row * l.query_heads + head) * T + at + i];
          }
          copy_block(q + row * T * l.query_stride + head * W, l.query_stride, at, T, W, work.query_block.get());
          copy_block(gradient_out + row * T * out_stride + head * W, out_stride, at, T, W, work.gradient_block.get());
          pair_tokens(work.query_block.get(), W, QUERIES, QUERIES, W, work.queries.get());
          pair_tokens(work.gradient_block.get(), W, QUERIES, QUERIES, W, work.gradients.get());
          block_backward(work, W, at, count, scale, first ? first + row * T : nullptr, logs, deltas);
          write_rows(work.gradient_q.get(), count, W, gradient_q + (row * T + at) * l.gradient_stride + head * W, l.gradient_stride);
        }
      write_rows(work.gradient_k.get(), T, W, gradient_k + row * T * l.gradient_stride + key_head * W, l.gradient_stride);
      write_rows(work.gradient_v.get(), T, W, gradient_v + row * T * l.gradient_stride + key_head * W, l.gradient_stride);
    }
  }
}

#endif
