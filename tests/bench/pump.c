/* The load: says messages that are made already, and counts what is heard. One thread, no JSON.

   Two ways of talking. In turns: everyone keeps one message under way, and says the next one when it has heard
   `every` messages. By the clock: people speak in a given order at a given rate, whatever they hear, and the
   time from when a message was due to when it was heard is noted. Meanwhile others may come back, all at once.
   Pings are answered. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* So many of those who come back start to connect between two looks at who has something to say. */
enum { IN_ONE_GO = 8 };
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
    const unsigned char *join;  /* coming back: what it says once it is connected, and once that is granted */
    size_t join_size;
    int matched, needed;        /* bytes of the end of the answer's head; messages until it is back */
    uint64_t began, back;
};

/* Who speaks when: in this order, over and over, at a rate per second. */
struct timetable {
    const int *order;
    int order_size;
    double rate;
    uint64_t start, due, end;
    int64_t said, timed;
};

struct pump {
    int epoll, count, lost;
    int every;         /* 0: by the clock */
    size_t least;      /* shorter messages are not counted */
    int64_t heard;
    int64_t pings;     /* since the beginning */
    int back;          /* how many have come back */
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
    if (person->needed) {
        if (--person->needed == 0) {
            person->back = pump->now;
            pump->back++;
        }
        return;
    }
    if (person->join || size < pump->least)
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

/* The answer to a handshake. Once it is granted, the person asks for its place. Returns how much of it is head. */
static size_t read_head(struct pump *pump, struct person *person, const unsigned char *data, size_t size)
{
    static const char end[] = "\r\n\r\n";
    size_t at = 0;
    if (size > 12 && !memcmp(data, "HTTP/1.1 ", 9) && memcmp(data + 9, "101", 3)) {
        lose(pump, person);
        return size;
    }
    while (at < size && person->matched < 4) {
        person->matched = data[at] == end[person->matched] ? person->matched + 1 : data[at] == '\r';
        at++;
    }
    if (person->matched == 4) {
        person->frame = person->join, person->size = person->join_size;
        person->owed = 1;
        speak(pump, person);
    }
    return at;
}

static void hear(struct pump *pump, struct person *person)
{
    static unsigned char data[BUFFER];
    ssize_t got = recv(person->fd, data, BUFFER, 0);
    size_t head = 0;
    if (got > 0 && person->join && person->matched < 4)
        head = read_head(pump, person, data, got);
    if (got > 0)
        read_frames(pump, person, data + head, got - head);
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

static struct timetable begin(struct pump *pump, const int *order, int order_size, double rate,
                              const int *speakers, size_t least, double *delays, int64_t delays_room)
{
    uint64_t now = clock_ns();
    pump->every = 0, pump->least = least, pump->heard = 0;
    pump->delays = delays, pump->delays_size = 0, pump->delays_room = delays_room;
    for (int i = 0; i < pump->count; i++)
        pump->people[i].speaker = speakers[i];
    return (struct timetable){order, order_size, rate, .start = now, .due = now, .end = UINT64_MAX};
}

static void speak_in_time(struct pump *pump, struct timetable *table)
{
    while (table->order_size && table->due <= pump->now && table->due < table->end) {
        struct person *person = &pump->people[table->order[pump->spoken++ % table->order_size]];
        if (person->size > pump->least) {
            person->due[person->said++ % RING] = table->due;
            table->timed++;
        }
        person->owed++;
        speak(pump, person);
        table->due = table->start + (uint64_t)(++table->said / table->rate * 1e9);
    }
}

static void hear_the_rest(struct pump *pump, const struct timetable *table)
{
    while (pump->heard < table->timed && pump->now < table->end + PATIENCE && !pump->lost)
        turn(pump, 0);
}

/* People speak in this order, over and over, at a rate per second; `speakers`: who speaks to each of them.
   Ends when all has been heard. Returns how many delays were noted, less than said if `PATIENCE` was not enough. */
int64_t pump_by_clock(struct pump *pump, double seconds, const int *order, int order_size, double rate,
                      const int *speakers, size_t least, double *delays, int64_t delays_room)
{
    struct timetable table = begin(pump, order, order_size, rate, speakers, least, delays, delays_room);
    table.end = table.start + (uint64_t)(seconds * 1e9);
    do {
        turn(pump, 0);
        speak_in_time(pump, &table);
    } while (pump->now < table.end && !pump->lost);
    hear_the_rest(pump, &table);
    return pump->delays_size;
}

static void start_to_return(struct pump *pump, struct person *person, int port)
{
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port)};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    person->began = clock_ns();
    if (connect(person->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) {
        lose(pump, person);
        return;
    }
    person->owed = 1;
    epoll_ctl(pump->epoll, EPOLL_CTL_ADD, person->fd, &(struct epoll_event){EPOLLIN | EPOLLOUT, {.ptr = person}});
    person->is_blocked = 1;
}

/* As long as `seconds` at the most, people speak by the clock while others connect by these sockets, not yet
   connected, ask for a WebSocket, and say their frame: each is back with the `needed`th message it hears.
   `took` becomes the seconds from connecting to being back, `whole` that until the last one was. Returns how
   many delays were noted. */
int64_t pump_storm(struct pump *pump, double seconds, const int *order, int order_size, double rate,
                   const int *speakers, size_t least, double *delays, int64_t delays_room, int count, int port,
                   const int *fds, const unsigned char *upgrade, size_t upgrade_size,
                   const unsigned char **joins, const size_t *sizes, int needed, double *took, double *whole)
{
    struct person *people = calloc(count, sizeof *people);
    struct timetable table = begin(pump, order, order_size, rate, speakers, least, delays, delays_room);
    int begun = 0;
    pump->back = 0;
    do {
        turn(pump, 0);
        speak_in_time(pump, &table);
        for (int i = 0; i < IN_ONE_GO && begun < count; i++, begun++) {
            struct person *person = &people[begun];
            person->fd = fds[begun], person->needed = needed;
            person->frame = upgrade, person->size = upgrade_size;
            person->join = joins[begun], person->join_size = sizes[begun];
            start_to_return(pump, person, port);
        }
    } while (pump->back < count && pump->now < table.start + (uint64_t)(seconds * 1e9) && !pump->lost);
    table.end = pump->now;
    *whole = (pump->now - table.start) / 1e9;
    for (int i = 0; i < count; i++)
        took[i] = people[i].back ? (people[i].back - people[i].began) / 1e9 : -1;
    hear_the_rest(pump, &table);
    for (int i = 0; i < count; i++)
        epoll_ctl(pump->epoll, EPOLL_CTL_DEL, people[i].fd, NULL);
    free(people);
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
