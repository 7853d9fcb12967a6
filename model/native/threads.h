/* The threads of a parallel region, and where they wait for each other.

   OpenMP's own barrier sleeps at once when a process has more threads in teams than cores, as a
   server has: waking takes longer than what a thread does between two barriers of a decoding step.
   Loops whose results other threads read are therefore `nowait`, and `meet` follows them. */

#include <sched.h>
#include <stdatomic.h>

#ifdef _OPENMP
#include <omp.h>
static inline int thread_number(void) { return omp_get_thread_num(); }
static inline int thread_count(void) { return omp_get_num_threads(); }
#else
static inline int thread_number(void) { return 0; }
static inline int thread_count(void) { return 1; }
#endif

#define PATIENCE 4000 /* looks, 50 to 200 us, before a thread lets others have its core */

typedef struct {
    atomic_int arrived, meetings;
} Meeting;

static inline void look_again(int looks) {
    if (looks > PATIENCE)
        sched_yield();
    else
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#else
        atomic_signal_fence(memory_order_seq_cst);
#endif
}

/* Wait until all threads of the region are here */
static inline void meet(Meeting *meeting) {
    int all = thread_count();
    if (all == 1) return;
    int before = atomic_load(&meeting->meetings);
    if (atomic_fetch_add(&meeting->arrived, 1) + 1 == all) {
        atomic_store(&meeting->arrived, 0);
        atomic_store(&meeting->meetings, before + 1);
        return;
    }
    for (int looks = 0; atomic_load(&meeting->meetings) == before; looks++) look_again(looks);
}
