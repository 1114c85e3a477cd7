/*
 * Preloaded into a process under test. It counts the calls by which the process changes the files of its outbox, or
 * tells somebody something, and at one of them the process dies, or the call fails. Between two of these calls the
 * process changes nothing that outlives it: to die there is to die before the second one.
 *
 *   FAULT_AT     which call, from 1; none unless set
 *   FAULT_DO     "kill": dies before it; "tear": does the first half of it, and dies; otherwise it fails
 *   FAULT_ERRNO  how it fails
 *   FAULT_TIMES  how many calls fail, from that one on (1)
 *   FAULT_SLOW   how long the disk takes to synchronise a file, in milliseconds
 *   FAULT_LOG    a file that gets a line for each call that is counted: what it is, and of what
 *   FAULT_DISK   set: only calls that change files are counted
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static long at, times = 1, slow;
static int error, log_file = -1, disk_only;
static enum { FAIL, KILL, TEAR } action;
static atomic_long calls;

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

__attribute__((constructor)) static void begin(void) {
    const char *how = getenv("FAULT_DO"), *path = getenv("FAULT_LOG");
    at = number("FAULT_AT", 0);
    times = number("FAULT_TIMES", 1);
    slow = number("FAULT_SLOW", 0);
    error = number("FAULT_ERRNO", EIO);
    disk_only = getenv("FAULT_DISK") != NULL;
    action = !how ? FAIL : !strcmp(how, "kill") ? KILL : !strcmp(how, "tear") ? TEAR : FAIL;
    if (path) log_file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* What is changed, or told: NULL for what is none of it. */
static const char *of(int file, char *buffer, size_t size) {
    struct stat status;
    if (fstat(file, &status)) return NULL;
    if (S_ISSOCK(status.st_mode)) return disk_only ? NULL : "socket";
    if (S_ISFIFO(status.st_mode)) return disk_only || file != 1 ? NULL : "output";
    if (!S_ISREG(status.st_mode)) return NULL;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, buffer, size - 1);
    if (length < 0) return NULL;
    buffer[length] = 0;
    const char *name = strrchr(buffer, '/');
    return name && !strncmp(name + 1, "events.db", 9) ? name + 1 : NULL;
}

enum fate { GOES_ON, FAILS, TEARS };

static enum fate fate_of(const char *what, const char *whose) {
    long call = atomic_fetch_add(&calls, 1) + 1;
    if (log_file >= 0) {
        char line[128];
        int length = snprintf(line, sizeof line, "%s %s\n", what, whose);
        syscall(SYS_write, log_file, line, length);
    }
    if (!at || call < at || call >= at + times) return GOES_ON;
    if (action == KILL) die();
    if (action == TEAR) return TEARS;
    errno = error;
    return FAILS;
}

static enum fate fate(const char *what, int file) {
    char buffer[512];
    const char *whose = of(file, buffer, sizeof buffer);
    return whose ? fate_of(what, whose) : GOES_ON;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* `half` is what a call that is torn does. */
#define COUNTED(what, file, half, whole)       \
    switch (fate(what, file)) {                \
        case FAILS: return -1;                 \
        case TEARS: (void)!(half); die();      \
    }                                          \
    return whole

ssize_t write(int file, const void *bytes, size_t length) {
    REAL(write);
    COUNTED("write", file, real(file, bytes, length / 2), real(file, bytes, length));
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t place) {
    REAL(pwrite64);
    COUNTED("write", file, real(file, bytes, length / 2, place), real(file, bytes, length, place));
}

ssize_t pwrite(int file, const void *bytes, size_t length, off_t place) {
    return pwrite64(file, bytes, length, place);
}

ssize_t writev(int file, const struct iovec *pieces, int length) {
    REAL(writev);
    COUNTED("write", file, real(file, pieces, length / 2), real(file, pieces, length));
}

ssize_t send(int file, const void *bytes, size_t length, int flags) {
    REAL(send);
    COUNTED("write", file, real(file, bytes, length / 2, flags), real(file, bytes, length, flags));
}

int ftruncate64(int file, off64_t length) {
    REAL(ftruncate64);
    COUNTED("cut", file, 0, real(file, length));
}

int ftruncate(int file, off_t length) { return ftruncate64(file, length); }

static int synced(int file, int (*real)(int)) {
    char buffer[512];
    if (slow && of(file, buffer, sizeof buffer)) {
        struct timespec time = {slow / 1000, slow % 1000 * 1000000};
        nanosleep(&time, NULL);
    }
    COUNTED("sync", file, 0, real(file));
}

int fsync(int file) {
    REAL(fsync);
    return synced(file, real);
}

int fdatasync(int file) {
    REAL(fdatasync);
    return synced(file, real);
}

int unlink(const char *path) {
    REAL(unlink);
    const char *name = strrchr(path, '/');
    if (name && !strncmp(name + 1, "events.db", 9)) {
        switch (fate_of("remove", name + 1)) {
            case FAILS: return -1;
            case TEARS: die();
        }
    }
    return real(path);
}
