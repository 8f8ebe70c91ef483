/* Raw sockets for the tests of the server: what a client of ours would never send. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A blocking connection to 127.0.0.1:port. */
int raw_connect(int port);
void raw_send(int fd, const char *text);
void raw_send_bytes(int fd, const void *data, size_t size);
/* Reads until n answers are whole (by Content-Length), the end, or ms have passed. Static memory, NUL-ended. */
const char *raw_read(int fd, int n_answers, int ms);
/* True when the peer ends the connection (end or reset) within ms; what comes before is dropped. */
bool raw_ends(int fd, int ms);
/* Status of the i-th answer in the text; 0 when there is none. */
int raw_status(const char *answers, int i);
/* Body of the i-th answer, up to the text's end. */
const char *raw_body(const char *answers, int i);
