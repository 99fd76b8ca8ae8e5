/* A wall clock that a test steps while a server runs. Preload it into the server with LD_PRELOAD.
 *
 * The file named by TEST_CLOCK_OFFSET has eight bytes: the offset in ms, a signed integer. The test writes them at any
 * time. Monotonic clocks stay as they are, so sleeps and timeouts of the server do not change. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t none = 0;
static const volatile int64_t *offset_ms = &none;

__attribute__((constructor)) static void map_offset(void) {
  const char *path = getenv("TEST_CLOCK_OFFSET");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *offset_ms, PROT_READ, MAP_SHARED, file, 0);
  if (file >= 0) close(file);
  if (page == MAP_FAILED) _exit(97); /* better no server than one with the real clock */
  offset_ms = page;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, clock, now);
  if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
  int64_t ns = now->tv_nsec + (*offset_ms % 1000) * 1000000;
  now->tv_sec += *offset_ms / 1000 + (ns >= 1000000000) - (ns < 0);
  now->tv_nsec = ns + (ns < 0) * 1000000000 - (ns >= 1000000000) * 1000000000;
  return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec precise;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &precise)) return -1;
  now->tv_sec = precise.tv_sec;
  now->tv_usec = precise.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *result) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result) *result = now.tv_sec;
  return now.tv_sec;
}
