/* The copy is one block of memory: the entry, its tickets, then all bytes. */
#include "services/order/commit/entry.h"

#include <stdlib.h>
#include <string.h>

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static size_t order_bytes(const struct new_order *order)
{
    size_t size = text_size(order->request_id) + text_size(order->body_hash) + text_size(order->currency) +
                  text_size(order->trace) + order->created_event.size;

    for (int i = 0; i < order->n_tickets; i++)
        size += text_size(order->tickets[i].attendee_name) + text_size(order->tickets[i].attendee_id_masked) +
                text_size(order->tickets[i].person);
    return size;
}

static const char *move_text(char **at, const char *text)
{
    size_t size = text_size(text);
    char *copy = *at;

    if (!text) return NULL;
    memcpy(copy, text, size);
    *at += size;
    return copy;
}

struct commit_entry *commit_entry_new(const struct new_order *order)
{
    size_t n = (size_t)order->n_tickets;
    struct commit_entry *entry = calloc(1, sizeof(*entry) + n * sizeof(struct new_ticket) + order_bytes(order));
    struct new_ticket *tickets;
    char *at;

    if (!entry) return NULL;
    tickets = (struct new_ticket *)(entry + 1);
    at = (char *)(tickets + n);
    entry->references = 1;
    entry->order = *order;
    entry->order.request_id = move_text(&at, order->request_id);
    entry->order.body_hash = move_text(&at, order->body_hash);
    entry->order.currency = move_text(&at, order->currency);
    entry->order.trace = move_text(&at, order->trace);
    if (order->created_event.size) memcpy(at, order->created_event.data, order->created_event.size);
    entry->order.created_event.data = at;
    at += order->created_event.size;
    for (size_t i = 0; i < n; i++) {
        tickets[i] = order->tickets[i];
        tickets[i].attendee_name = move_text(&at, order->tickets[i].attendee_name);
        tickets[i].attendee_id_masked = move_text(&at, order->tickets[i].attendee_id_masked);
        tickets[i].person = move_text(&at, order->tickets[i].person);
    }
    entry->order.tickets = tickets;
    return entry;
}

void commit_entry_unref(struct commit_entry *entry)
{
    if (--entry->references == 0) free(entry);
}
