// Shifts the clocks that a process reads: preloaded, it adds what a small shared file says, which may change at any moment.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

// The file, written by clock.ts. While `sequence` is odd it is being written, and readers wait.
struct shift {
  _Atomic uint64_t sequence;
  _Atomic int64_t wall;      // ns that the wall clock is ahead
  _Atomic int64_t monotonic; // ns that the monotonic clock is ahead
  _Atomic int64_t rate;      // parts in a million by which both run faster
  _Atomic int64_t since;     // the true monotonic clock, in ns, at which that rate began
};

static const struct shift *shift;

__attribute__((constructor)) static void map_file(void) {
  const char *path = getenv("COHERENCE_CLOCKS");
  int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  void *mapped = mmap(NULL, sizeof(struct shift), PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED) shift = mapped;
}

// The true clocks. Never through the names that are defined below.
static int true_time(clockid_t clock, struct timespec *time) {
  static _Atomic(int (*)(clockid_t, struct timespec *)) libc;
  int (*found)(clockid_t, struct timespec *) = atomic_load(&libc);
  if (found == NULL) {
    *(void **)&found = dlsym(RTLD_NEXT, "clock_gettime");
    if (found == NULL) return (int)syscall(SYS_clock_gettime, clock, time);
    atomic_store(&libc, found);
  }
  return found(clock, time);
}

static int64_t nanoseconds(struct timespec time) { return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec; }

static int is_wall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI; }

// A suspended machine goes on counting in CLOCK_BOOTTIME, so that one is as it is.
static int is_monotonic(clockid_t clock) {
  return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE;
}

// Clock and shift belong together: a process may be stopped between the two reads while the shift is changed.
static int shifted_time(clockid_t clock, struct timespec *time) {
  for (;;) {
    uint64_t before = atomic_load(&shift->sequence);
    int64_t more = is_wall(clock) ? atomic_load(&shift->wall) : atomic_load(&shift->monotonic);
    int64_t rate = atomic_load(&shift->rate);
    int64_t since = atomic_load(&shift->since);
    int result = true_time(clock, time);
    if (result != 0) return result;
    struct timespec elapsed = *time;
    // Of the monotonic clock its own reading: with a later one a slow clock would seem to go back.
    if (rate != 0 && !is_monotonic(clock)) true_time(CLOCK_MONOTONIC, &elapsed);
    if ((before & 1) != 0 || atomic_load(&shift->sequence) != before) {
      sched_yield();
      continue;
    }
    int64_t all = nanoseconds(*time) + more;
    // In 128 bits, so that a slower monotonic clock loses less than a nanosecond at a time, and never goes back.
    if (rate != 0) all += (int64_t)((__int128)(nanoseconds(elapsed) - since) * rate / 1000000);
    time->tv_sec = all / 1000000000;
    time->tv_nsec = all % 1000000000;
    return 0;
  }
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  return shift != NULL && (is_wall(clock) || is_monotonic(clock)) ? shifted_time(clock, time) : true_time(clock, time);
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  (void)zone;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *seconds) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return (time_t)-1;
  if (seconds != NULL) *seconds = now.tv_sec;
  return now.tv_sec;
}
