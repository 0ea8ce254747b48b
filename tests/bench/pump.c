/* The load: says messages that are made already, and counts what is heard. One thread, no JSON.

   Two ways of talking. In turns: everyone keeps one message under way, and says the next one when it has heard
   `every` messages. By the clock: people speak in a given order at a given rate, whatever they hear, and the
   time from when a message was due to when it was heard is noted. Pings are answered. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 1 << 17, EVENTS = 256, RING = 1024, PING = 9, PONG = 10, CONTROL = 8, PATIENCE = 1000000000 };

struct person {
    int fd, is_gone, is_blocked;
    const unsigned char *frame; /* what it says, masked */
    size_t size, sent;          /* sent: of the frame under way */
    int64_t owed;               /* frames to say, the one under way included */
    int heard;                  /* since it last spoke */
    unsigned char head[4 + 125];
    size_t head_size, body_left;
    int speaker;                /* by the clock: who speaks to this one */
    uint64_t due[RING];         /* when its messages were to be said: a ring */
    unsigned said, arrived;
};

struct pump {
    int epoll, count, lost;
    int every;         /* 0: by the clock */
    size_t least;      /* shorter messages are not counted */
    int64_t heard;
    int64_t pings;     /* since the beginning */
    double *delays;    /* seconds, or NULL */
    int64_t delays_size, delays_room;
    uint64_t now;
    uint64_t spoken;   /* by the clock: how often somebody has */
    struct person *people;
};

static uint64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void lose(struct pump *pump, struct person *person)
{
    if (!person->is_gone)
        epoll_ctl(pump->epoll, EPOLL_CTL_DEL, person->fd, NULL);
    pump->lost += !person->is_gone;
    person->is_gone = 1;
}

static void await_room(struct pump *pump, struct person *person, int is_blocked)
{
    if (person->is_blocked == is_blocked)
        return;
    person->is_blocked = is_blocked;
    struct epoll_event wanted = {EPOLLIN | (is_blocked ? EPOLLOUT : 0), {.ptr = person}};
    epoll_ctl(pump->epoll, EPOLL_CTL_MOD, person->fd, &wanted);
}

static void speak(struct pump *pump, struct person *person)
{
    while (person->owed && !person->is_gone) {
        ssize_t sent = send(person->fd, person->frame + person->sent, person->size - person->sent, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN)
                await_room(pump, person, 1);
            else
                lose(pump, person);
            return;
        }
        person->sent += sent;
        if (person->sent == person->size) {
            person->sent = 0;
            person->owed--;
        }
    }
    await_room(pump, person, 0);
}

static void take(struct pump *pump, struct person *person, size_t size)
{
    if (size < pump->least)
        return;
    pump->heard++;
    if (pump->every) {
        if (++person->heard == pump->every) {
            person->heard = 0;
            person->owed++;
        }
    } else if (pump->delays && pump->delays_size < pump->delays_room) {
        struct person *speaker = &pump->people[person->speaker];
        pump->delays[pump->delays_size++] = (pump->now - speaker->due[speaker->arrived++ % RING]) / 1e9;
    }
}

/* A control frame is short, so all of it was kept with its head. */
static void take_control(struct pump *pump, struct person *person)
{
    unsigned char size = person->head[1] & 127, pong[6 + 125] = {0x80 | PONG, 0x80 | size};
    if ((person->head[0] & 15) != PING)
        return;
    pump->pings++;
    if (person->sent)
        return;
    memcpy(pong + 6, person->head + 2, size); /* the key is zeros */
    send(person->fd, pong, 6 + size, MSG_NOSIGNAL);
}

/* How long the head of the frame is, as far as it is known. What a control frame says counts as head. */
static size_t head_needed(const struct person *person)
{
    if (person->head_size < 2)
        return 2;
    size_t size = person->head[1] & 127;
    if ((person->head[0] & 15) >= CONTROL)
        return 2 + size;
    return size < 126 ? 2 : size == 126 ? 4 : 10;
}

static void read_frames(struct pump *pump, struct person *person, const unsigned char *data, size_t size)
{
    while (size) {
        if (person->body_left) {
            size_t part = size < person->body_left ? size : person->body_left;
            data += part, size -= part;
            person->body_left -= part;
            continue;
        }
        person->head[person->head_size++] = *data++, size--;
        if (person->head_size < head_needed(person))
            continue;
        size_t length = 0, digits = head_needed(person);
        if ((person->head[0] & 15) >= CONTROL) {
            take_control(pump, person);
        } else {
            if (digits == 2)
                length = person->head[1];
            for (size_t i = 2; i < digits; i++)
                length = length << 8 | person->head[i];
            take(pump, person, length);
        }
        person->body_left = length;
        person->head_size = 0;
    }
}

static void hear(struct pump *pump, struct person *person)
{
    static unsigned char data[BUFFER];
    ssize_t got = recv(person->fd, data, BUFFER, 0);
    if (got > 0)
        read_frames(pump, person, data, got);
    else if (got == 0 || errno != EAGAIN)
        lose(pump, person);
}

static void turn(struct pump *pump, int patience)
{
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(pump->epoll, events, EVENTS, patience);
    pump->now = clock_ns();
    for (int i = 0; i < ready; i++) {
        struct person *person = events[i].data.ptr;
        if (events[i].events & ~EPOLLOUT)
            hear(pump, person);
        if (person->owed)
            speak(pump, person);
    }
}

/* People by their sockets, and the frames they say. */
struct pump *pump_new(int count, const int *fds, const unsigned char **frames, const size_t *sizes)
{
    struct pump *pump = calloc(1, sizeof *pump);
    pump->people = calloc(count, sizeof *pump->people);
    pump->count = count;
    pump->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < count; i++) {
        struct person *person = &pump->people[i];
        person->fd = fds[i], person->frame = frames[i], person->size = sizes[i];
        epoll_ctl(pump->epoll, EPOLL_CTL_ADD, fds[i], &(struct epoll_event){EPOLLIN, {.ptr = person}});
    }
    return pump;
}

/* Everyone speaks in turns for so long; `every` 0 is to listen only. Returns how many messages were heard. */
int64_t pump_in_turns(struct pump *pump, double seconds, int every, size_t least, int begins)
{
    uint64_t end = clock_ns() + (uint64_t)(seconds * 1e9);
    pump->every = every, pump->least = least, pump->heard = 0, pump->delays = NULL;
    for (int i = 0; begins && i < pump->count; i++) {
        pump->people[i].owed++;
        speak(pump, &pump->people[i]);
    }
    do
        turn(pump, 1);
    while (pump->now < end && !pump->lost);
    return pump->heard;
}

/* People speak in this order, over and over, at a rate per second; `speakers`: who speaks to each of them.
   Ends when all has been heard. Returns how many delays were noted, less than said if `PATIENCE` was not enough. */
int64_t pump_by_clock(struct pump *pump, double seconds, const int *order, int order_size, double rate,
                      const int *speakers, size_t least, double *delays, int64_t delays_room)
{
    uint64_t start = clock_ns(), end = start + (uint64_t)(seconds * 1e9), due = start;
    int64_t said = 0, timed = 0;
    pump->every = 0, pump->least = least, pump->heard = 0;
    pump->delays = delays, pump->delays_size = 0, pump->delays_room = delays_room;
    for (int i = 0; i < pump->count; i++)
        pump->people[i].speaker = speakers[i];
    do {
        turn(pump, 0);
        for (; due <= pump->now && due < end; due = start + (uint64_t)(++said / rate * 1e9)) {
            struct person *person = &pump->people[order[pump->spoken++ % order_size]];
            if (person->size > least) {
                person->due[person->said++ % RING] = due;
                timed++;
            }
            person->owed++;
            speak(pump, person);
        }
    } while ((pump->now < end || pump->heard < timed) && pump->now < end + PATIENCE && !pump->lost);
    return pump->delays_size;
}

int pump_lost(const struct pump *pump)
{
    return pump->lost;
}

int64_t pump_pings(const struct pump *pump)
{
    return pump->pings;
}

void pump_free(struct pump *pump)
{
    close(pump->epoll);
    free(pump->people);
    free(pump);
}
