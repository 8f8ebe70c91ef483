/* Envelopes: an event with where it comes from, packed for the outbox and unpacked for consumers. */
#include "common/chassis/event.h"

#include "common/chassis/app_internal.h"
#include "common/rpc/pb_time.h"
#include "ticketflow/event/v1/envelope.tf.h"

/* Beyond any date that we write; what a damaged envelope says must not overflow. */
static const int64_t seconds_max = 1000000000000;

tf_code tf_event_pack(tf_ctx *ctx, const struct tf_event *event, tf_time occurred, struct tf_pg_bytes *ret_envelope)
{
    const tf_app *app = ctx->app;
    Envelope envelope = Envelope_init;
    size_t size;
    void *data;

    TF_ASSERT(event->event_id > 0 && event->type[0] && event->topic[0]);
    envelope.event_id = event->event_id;
    envelope.type = (char *)event->type; /* protobuf-c's strings are not const; packing only reads */
    envelope.version = event->version;
    envelope.aggregate_id = event->aggregate_id;
    envelope.organiser_id = event->organiser_id;
    envelope.occurred_time = tf_pb_time(ctx->arena, occurred);
    envelope.request_id = (char *)ctx->request_id;
    envelope.process = (char *)(app ? app->service->name : "");
    envelope.traceparent = (char *)(ctx->traceparent ? ctx->traceparent : "");
    envelope.payload = (ProtobufCBinaryData){event->size, (uint8_t *)event->payload};

    data = tf_pb_pack(ctx->arena, &envelope.base, &size);
    if (!data) return tf_fail(ctx, TF_INTERNAL, "no memory for the envelope of %s", event->type);
    if (size > TF_ENVELOPE_BYTES_MAX)
        return tf_fail(ctx, TF_INTERNAL, "the event %s has %zu bytes, more than %d", event->type, size,
                       TF_ENVELOPE_BYTES_MAX);
    *ret_envelope = (struct tf_pg_bytes){data, size};
    return TF_OK;
}

bool tf_event_unpack(tf_ctx *ctx, const void *data, size_t size, struct tf_received *ret_event,
                     const char **ret_traceparent)
{
    const Envelope *envelope;

    if (!data || size == 0 || size > TF_ENVELOPE_BYTES_MAX) return false;
    envelope = (const Envelope *)tf_pb_unpack(ctx->arena, &Envelope_descriptor, data, size);
    if (!envelope || envelope->event_id <= 0 || !envelope->type[0] || !envelope->occurred_time) return false;
    if (llabs(envelope->occurred_time->seconds) > seconds_max) return false;

    *ret_event = (struct tf_received){
        .event_id = envelope->event_id,
        .aggregate_id = envelope->aggregate_id,
        .organiser_id = envelope->organiser_id,
        .type = envelope->type,
        .version = envelope->version,
        .occurred = tf_pb_time_us(envelope->occurred_time),
        .request_id = envelope->request_id,
        .process = envelope->process,
        .payload = envelope->payload.data,
        .size = envelope->payload.len,
    };
    *ret_traceparent = envelope->traceparent[0] ? envelope->traceparent : NULL;
    return true;
}
