/* Preloaded into a writer: appends every change of its log's files to a recording, in the order in which they happen.
 *
 * TALLYSTICK_RECORDED is the path of the database. Its files are told apart by what follows that path: nothing is the
 * database, "-wal" its log, ".acks" the acknowledgements (whose writes are therefore ordered against all others).
 * Everything else passes unseen. TALLYSTICK_RECORDING is the file recorded to: rows of struct row, each followed by
 * its bytes. A call is recorded after it succeeded and before it returns. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WRITE = 1, SYNC, TRUNCATE, UNLINK };
enum { DATABASE, WAL, ACKS, OTHER };
struct row { int32_t what, file; int64_t offset, length; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int recording = -1;

static int file_of(const char *path) {
    const char *recorded = getenv("TALLYSTICK_RECORDED");
    size_t length = recorded ? strlen(recorded) : 0;
    if (!length || strncmp(path, recorded, length)) return OTHER;
    path += length;
    return !*path ? DATABASE : !strcmp(path, "-wal") ? WAL : !strcmp(path, ".acks") ? ACKS : OTHER;
}

static int file_behind(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return OTHER;
    path[length] = 0;
    return file_of(path);
}

static void record(int what, int file, int64_t offset, const void *bytes, int64_t length) {
    struct row row = {what, file, offset, length};
    if (file == OTHER) return;
    pthread_mutex_lock(&lock);
    if (recording < 0) recording = open(getenv("TALLYSTICK_RECORDING"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (syscall(SYS_write, recording, &row, sizeof row) != sizeof row) abort();
    if (bytes && syscall(SYS_write, recording, bytes, length) != length) abort();
    pthread_mutex_unlock(&lock);
}

#define REAL(name) static __typeof__(&name) real; if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name)
#define PWRITE(name, offset_type) ssize_t name(int fd, const void *bytes, size_t length, offset_type offset) { \
    REAL(name); ssize_t done = real(fd, bytes, length, offset); \
    if (done > 0) { record(WRITE, file_behind(fd), offset, bytes, done); } return done; }
#define SYNCS(name) int name(int fd) { REAL(name); int bad = real(fd); if (!bad) record(SYNC, file_behind(fd), 0, 0, 0); return bad; }
#define TRUNCATES(name, size_type) int name(int fd, size_type size) { \
    REAL(name); int bad = real(fd, size); if (!bad) record(TRUNCATE, file_behind(fd), size, 0, 0); return bad; }

PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
SYNCS(fsync)
SYNCS(fdatasync)
TRUNCATES(ftruncate, off_t)
TRUNCATES(ftruncate64, off64_t)

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(write); ssize_t done = real(fd, bytes, length);
    if (done > 0) record(WRITE, file_behind(fd), -1, bytes, done);
    return done;
}

int unlink(const char *path) {
    REAL(unlink); int bad = real(path);
    if (!bad) record(UNLINK, file_of(path), 0, 0, 0);
    return bad;
}
