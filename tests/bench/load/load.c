/* Sends signed webhooks to a server on loopback and measures how long each answer takes.
 *
 *   load PORT REQUESTS [connections=32] [count=1000 | seconds=5] [rate=0] [seed=1] [acked=FILE]
 *
 * REQUESTS holds whole requests with a hole for the delivery id, each as three little-endian
 * u32 (bytes before the hole, bytes after it, the status that is expected) and these bytes.
 * They are made and signed beforehand, so that sending costs next to nothing; ids look random,
 * since sequential ones would flatter a B-tree.
 *
 * With rate=0 every connection sends its next request when the last is answered (closed loop).
 * With a rate, requests are due at fixed moments whatever the server does (open loop), and
 * their latency counts from that moment. Prints one JSON object; writes the ids that were
 * acknowledged with 202 to FILE, one a line. Ends early when the server is gone.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { ID_LENGTH = 36, ANSWER_MOST = 16384, MOST_BODIES = 4096, TIMER = -1 };

typedef struct {
    const char *head, *tail;
    uint32_t head_length, tail_length, expected;
} Template;

typedef enum { IDLE, CONNECTING, SENDING, WAITING } State;

typedef struct {
    int fd;
    State state;
    uint32_t interest;
    long number;  /* of the request under way; -1: none */
    double due;   /* when it should have been sent */
    size_t sent;
    char id[ID_LENGTH + 1];
    char answer[ANSWER_MOST];
    size_t got;
} Connection;

static int port, poller, timer;
static Template templates[MOST_BODIES];
static long template_count, wanted = -1, started, finished, errors, unexpected, opened;
static double seconds = 0, rate = 0, began;
static uint64_t seed = 1;
static long by_status[600];
static float *latencies;
static long latency_room;
static FILE *acked;
static Connection *connections;
static int connection_count = 32, failed_in_a_row;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* splitmix64: the n-th of a sequence without a state, so that a run can be repeated. */
static uint64_t mixed(uint64_t n) {
    uint64_t z = n * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

static void write_id(char *into, long number) {
    uint64_t a = mixed(seed * 1000003u + (uint64_t)number * 2), b = mixed(a ^ seed);
    snprintf(into, ID_LENGTH + 1, "%08x-%04x-4%03x-8%03x-%012llx", (unsigned)(a >> 32),
             (unsigned)(a >> 16) & 0xffff, (unsigned)a & 0xfff, (unsigned)(b >> 52),
             (unsigned long long)(b & 0xffffffffffffull));
}

static void read_templates(const char *path) {
    int fd = open(path, O_RDONLY);
    struct stat about;
    if (fd < 0 || fstat(fd, &about) < 0) die(path);
    const char *at = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (at == MAP_FAILED) die(path);
    const char *end = at + about.st_size;
    while (at < end && template_count < MOST_BODIES) {
        Template *t = &templates[template_count++];
        memcpy(&t->head_length, at, 4);
        memcpy(&t->tail_length, at + 4, 4);
        memcpy(&t->expected, at + 8, 4);
        t->head = at + 12;
        t->tail = t->head + t->head_length;
        at = t->tail + t->tail_length;
    }
    if (template_count == 0) die("no requests in the file");
}

static void watch(Connection *c, uint32_t interest) {
    if (c->interest == interest) return;
    struct epoll_event e = {.events = interest, .data.u32 = (uint32_t)(c - connections)};
    if (epoll_ctl(poller, c->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e) < 0) die("epoll");
    c->interest = interest;
}

static void open_connection(Connection *c) {
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->interest = 0;
    c->state = CONNECTING;
    opened++;
    if (connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
        failed_in_a_row++;
    }
    watch(c, EPOLLOUT);
}

static void close_connection(Connection *c) {
    /* Reset rather than wait: a flood would run out of ports that linger. */
    struct linger at_once = {1, 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(c->fd);
}

static int all_started(void) {
    if (wanted >= 0) return started >= wanted;
    return now() - began >= seconds;
}

/* The moment at which the next request is due; 0 where it is now. */
static double next_due(void) { return rate > 0 ? began + (double)started / rate : 0; }

static void push(Connection *c);

static void begin(Connection *c) {
    c->due = rate > 0 ? next_due() : now();
    c->number = started++;
    write_id(c->id, c->number);
    c->sent = c->got = 0;
    c->state = SENDING;
    push(c);
}

static int may_begin(void) { return !all_started() && (rate == 0 || next_due() <= now()); }

static void rest(Connection *c) {
    c->number = -1;
    c->state = IDLE;
    if (may_begin()) begin(c);
    else watch(c, EPOLLIN);
}

static void lose(Connection *c, int is_error) {
    if (is_error) {
        errors++;
        failed_in_a_row++;
        if (c->number >= 0) finished++;
    }
    c->number = -1;
    close_connection(c);
    open_connection(c);
}

static void push(Connection *c) {
    const Template *t = &templates[c->number % template_count];
    struct iovec parts[3] = {{(void *)t->head, t->head_length},
                             {c->id, ID_LENGTH},
                             {(void *)t->tail, t->tail_length}};
    size_t skip = c->sent, whole = t->head_length + ID_LENGTH + t->tail_length;
    int first = 0;
    while (first < 3 && skip >= parts[first].iov_len) skip -= parts[first++].iov_len;
    if (first < 3) {
        parts[first].iov_base = (char *)parts[first].iov_base + skip;
        parts[first].iov_len -= skip;
    }
    ssize_t n = writev(c->fd, parts + first, 3 - first);
    if (n < 0 && errno != EAGAIN) {
        /* The server may have answered and closed before it had read all. */
        c->state = WAITING;
        watch(c, EPOLLIN);
        return;
    }
    if (n > 0) c->sent += (size_t)n;
    c->state = c->sent == whole ? WAITING : SENDING;
    watch(c, c->state == WAITING ? EPOLLIN : EPOLLIN | EPOLLOUT);
}

static void note(Connection *c, int status) {
    double took = now() - c->due;
    if (finished - errors >= latency_room) {
        latency_room = latency_room ? latency_room * 2 : 65536;
        latencies = realloc(latencies, (size_t)latency_room * sizeof *latencies);
        if (!latencies) die("memory");
    }
    latencies[finished - errors] = (float)took;
    finished++;
    failed_in_a_row = 0;
    if (status > 0 && status < 600) by_status[status]++;
    if ((uint32_t)status != templates[c->number % template_count].expected) unexpected++;
    if (acked && status == 202) fprintf(acked, "%s\n", c->id);
}

/* Whether a whole answer is there. */
static int answered(Connection *c, int *status, int *closes) {
    c->answer[c->got] = 0;
    char *end = strstr(c->answer, "\r\n\r\n");
    if (!end) return 0;
    char *length = strcasestr(c->answer, "\r\ncontent-length:");
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    if (c->got < (size_t)(end + 4 - c->answer) + body) return 0;
    *status = atoi(c->answer + 9);
    char *close_word = strcasestr(c->answer, "\r\nconnection: close");
    *closes = close_word && close_word < end;
    return 1;
}

static void pull(Connection *c) {
    ssize_t n = read(c->fd, c->answer + c->got, ANSWER_MOST - 1 - c->got);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        lose(c, c->number >= 0);
        return;
    }
    c->got += (size_t)n;
    int status = 0, closes = 0;
    if (c->number < 0 || !answered(c, &status, &closes)) return;
    int whole = c->state == WAITING;
    note(c, status);
    if (closes || !whole) lose(c, 0);
    else rest(c);
}

static void connected(Connection *c) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        lose(c, 1);
        return;
    }
    rest(c);
}

static void arm(void) {
    double due = next_due();
    struct itimerspec at = {.it_value = {(time_t)due, (long)((due - (double)(time_t)due) * 1e9) + 1}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void begin_those_due(void) {
    for (int i = 0; i < connection_count && may_begin(); i++) {
        if (connections[i].state == IDLE) begin(&connections[i]);
    }
}

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void report(double took) {
    long n = finished - errors;
    qsort(latencies, (size_t)n, sizeof *latencies, ascending);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                 (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1e-6;
    printf("{\"answered\": %ld, \"seconds\": %.4f, \"rate\": %.1f, \"errors\": %ld, "
           "\"unexpected\": %ld, \"opened\": %ld, \"load_cpu\": %.3f, \"status\": {",
           n, took, (double)n / took, errors, unexpected, opened, cpu);
    const char *comma = "";
    for (int s = 0; s < 600; s++) {
        if (by_status[s]) {
            printf("%s\"%d\": %ld", comma, s, by_status[s]);
            comma = ", ";
        }
    }
    printf("}");
    const double parts[] = {50, 90, 99, 99.9, 100};
    for (int i = 0; i < 5 && n > 0; i++) {
        long at = (long)((double)n * parts[i] / 100);
        printf(", \"p%g\": %.3f", parts[i], (double)latencies[at < n ? at : n - 1] * 1e3);
    }
    printf("}\n");
}

static void read_options(int count, char **given) {
    for (int i = 3; i < count; i++) {
        char *value = strchr(given[i], '=');
        if (!value) die(given[i]);
        *value++ = 0;
        if (!strcmp(given[i], "connections")) connection_count = atoi(value);
        else if (!strcmp(given[i], "count")) wanted = atol(value);
        else if (!strcmp(given[i], "seconds")) seconds = atof(value);
        else if (!strcmp(given[i], "rate")) rate = atof(value);
        else if (!strcmp(given[i], "seed")) seed = strtoull(value, NULL, 10);
        else if (!strcmp(given[i], "acked")) { if (!(acked = fopen(value, "w"))) die(value); }
        else die(given[i]);
    }
    if (wanted < 0 && seconds <= 0) wanted = 1000;
}

int main(int count, char **given) {
    if (count < 3) {
        fprintf(stderr, "usage: load PORT REQUESTS [connections=] [count=|seconds=] [rate=]"
                        " [seed=] [acked=]\n");
        return 2;
    }
    port = atoi(given[1]);
    read_templates(given[2]);
    read_options(count, given);
    poller = epoll_create1(EPOLL_CLOEXEC);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)TIMER};
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &e);
    connections = calloc((size_t)connection_count, sizeof *connections);
    if (!connections) die("memory");
    began = now();
    for (int i = 0; i < connection_count; i++) {
        connections[i].number = -1;
        open_connection(&connections[i]);
    }
    struct epoll_event events[256];
    while (!(all_started() && finished >= started) && failed_in_a_row < 200) {
        if (rate > 0 && !all_started()) arm();
        int n = epoll_wait(poller, events, 256, 100);
        for (int i = 0; i < n; i++) {
            if (events[i].data.u32 == (uint32_t)TIMER) {
                uint64_t ticks;
                if (read(timer, &ticks, sizeof ticks) < 0 && errno != EAGAIN) die("timer");
                continue;
            }
            Connection *c = &connections[events[i].data.u32];
            if (c->state == CONNECTING) connected(c);
            else if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) pull(c);
            else if (c->state == SENDING) push(c);
        }
        if (rate > 0) begin_those_due();
    }
    report(now() - began);
    if (acked) fclose(acked);
    return 0;
}
