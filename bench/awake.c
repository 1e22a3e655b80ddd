/* Keeps one core from going to sleep, for the suite: awake CORE. Ends with whoever has started it.
 *
 * A core with nothing to do is halted. On a virtual machine that means that the hypervisor takes it away, and whoever sends to a
 * process that waits on it pays for having it brought back: more than most requests cost. A server that is done before the load
 * generator has the next request for it rests most often, so that the better server would get the worse figure.
 *
 * Who has anything to do goes first: this runs when nobody else does (SCHED_IDLE), also where the scheduler weighs sessions before
 * processes (autogroups). Its time is told apart by its nice value: /proc/stat counts it as "nice", and nothing else of a run. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static void stay_behind_other_sessions(void) {
    int group = open("/proc/self/autogroup", O_WRONLY);

    setsid();
    if (group < 0)
        return; /* no such thing here */
    if (write(group, "19", 2) != 2)
        perror("awake: autogroup");
    close(group);
}

int main(int count, char **words) {
    struct sched_param unused = {0};
    cpu_set_t cores;

    if (count != 2) {
        fprintf(stderr, "usage: awake CORE\n");
        return 2;
    }
    CPU_ZERO(&cores);
    CPU_SET(atoi(words[1]), &cores);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || sched_setaffinity(0, sizeof(cores), &cores)) {
        perror("awake");
        return 1;
    }
    stay_behind_other_sessions();
    if (setpriority(PRIO_PROCESS, 0, 19) || sched_setscheduler(0, SCHED_IDLE, &unused)) {
        perror("awake");
        return 1;
    }
    printf("awake\n");
    fflush(stdout);
    for (;;)
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause(); /* leaves the units of a shared core to its other thread */
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#else
        ;
#endif
}
