/* The floor: a relay that does nothing but what TCP and WebSocket framing ask for.

   Reads no JSON and keeps no rooms. Whoever connects is answered 101; clients sit in rooms of ROOM in the order in
   which they connect. A long message (an offer) goes to the next one of the room, a short one (a chat) to
   everyone there. Usage: relay PORT ROOM */

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 1 << 16, CLIENTS = 1 << 16, EVENTS = 256, LONG = 1000 };

struct client {
    int fd, place; /* place: how many were let in before; -1 before the handshake */
    size_t size;   /* bytes in the buffer */
    unsigned char buffer[BUFFER];
};

static struct client *clients[CLIENTS];
static int count, room;

static const char WELCOME[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

static void say(int place, const void *data, size_t size)
{
    const char *rest = data;
    struct client *to = place < count ? clients[place] : NULL;
    while (to && size) {
        ssize_t sent = send(to->fd, rest, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) {
            struct pollfd writable = {.fd = to->fd, .events = POLLOUT};
            if (poll(&writable, 1, 1000) != 1)
                return;
            continue;
        }
        rest += sent;
        size -= sent;
    }
}

static void unmask(unsigned char *text, size_t size, const unsigned char *key)
{
    uint32_t word;
    memcpy(&word, key, 4);
    uint64_t wide = (uint64_t)word << 32 | word, piece;
    size_t at = 0;
    for (; at + 8 <= size; at += 8) {
        memcpy(&piece, text + at, 8);
        piece ^= wide;
        memcpy(text + at, &piece, 8);
    }
    for (; at < size; at++)
        text[at] ^= key[at & 3];
}

/* Pass on the message at the start of the buffer. Returns its size on the wire, 0 if it is not all there. */
static size_t pass_on(struct client *from, unsigned char *data, size_t have)
{
    if (have < 2)
        return 0;
    size_t size = data[1] & 127, head = 6;
    if (size == 126) {
        if (have < 4)
            return 0;
        size = data[2] << 8 | data[3];
        head = 8;
    }
    if (have < head + size)
        return 0;
    unmask(data + head, size, data + head - 4);
    /* The server's header is the client's without the key: it fits where the key was. */
    unsigned char *frame = memmove(data + 4, data, head - 4);
    frame[1] &= 127;
    size_t whole = head - 4 + size;
    int first = from->place - from->place % room;
    if (size >= LONG)
        say(first + (from->place + 1 - first) % room, frame, whole);
    else
        for (int place = first; place < first + room; place++)
            say(place, frame, whole);
    return head + size;
}

static void hear(struct client *client)
{
    ssize_t got = recv(client->fd, client->buffer + client->size, BUFFER - client->size, 0);
    if (got <= 0) {
        if (client->place >= 0)
            clients[client->place] = NULL;
        close(client->fd);
        free(client);
        return;
    }
    client->size += got;
    size_t used = 0, step;
    if (client->place < 0) {
        if (client->size < 4 || memcmp(client->buffer + client->size - 4, "\r\n\r\n", 4) || count == CLIENTS)
            return;
        client->place = count;
        clients[count++] = client;
        used = client->size;
        say(client->place, WELCOME, sizeof WELCOME - 1);
    }
    while ((step = pass_on(client, client->buffer + used, client->size - used)))
        used += step;
    client->size -= used;
    if (used && client->size)
        memmove(client->buffer, client->buffer + used, client->size);
}

static void let_in(int listener, int epoll)
{
    struct client *client = calloc(1, sizeof *client);
    client->fd = accept(listener, NULL, NULL);
    client->place = -1;
    if (client->fd < 0)
        exit(1);
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &(struct epoll_event){EPOLLIN, {.ptr = client}});
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int epoll = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM, 0);
    if (argc != 3 || (room = atoi(argv[2])) < 1)
        return 2;
    address.sin_port = htons(atoi(argv[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1024)) {
        perror("relay");
        return 1;
    }
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &(struct epoll_event){EPOLLIN, {.ptr = NULL}});
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr)
                hear(events[i].data.ptr);
            else
                let_in(listener, epoll);
        }
    }
}
