// How the threads of one call share out what they compute.
#pragma once
#include "vectors.h"

// Runs of neighbouring things for whoever comes first: half of what is left in each round, a thread a part of it, all of it once that
// is little. So a thread that is held up holds up no other, and yet each reads long runs, which the memory gives fastest
// (Polychronopoulos and Kuck 1987, "Guided self-scheduling"). Turn k begins at begin(k) and ends at begin(k + 1).
struct GuidedSchedule {
  Size things, threads, little;
  Size begin(Size k) const {
    Size left = things;
    for (Size round = k / threads; round > 0; round--) left -= share_of(left);
    return things - left + share_of(left) * (k % threads) / threads;
  }
  Size share_of(Size left) const { return left <= little * threads ? left : left - left / 2; }
};

// compute(from, to, what this thread does next, or -1) until everything is taken, `taken` being 0 at first and common to all.
// The first turn of a thread is its own, without asking.
template <class Compute>
static inline void by_guided_schedule(const GuidedSchedule& schedule, Size thread, Size& taken, Compute compute) {
  for (Size turn = thread, coming; schedule.begin(turn) < schedule.things; turn = coming) {
    Size before;
#pragma omp atomic capture
    before = taken++;
    coming = schedule.threads + before;
    const Size from = schedule.begin(turn), to = schedule.begin(turn + 1), next = schedule.begin(coming);
    if (from < to) compute(from, to, next < schedule.things ? next : -1);
  }
}
