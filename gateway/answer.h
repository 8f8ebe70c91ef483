/* Answers: each call gives the one answer of an exchange and ends it. */
#pragma once

#include "gateway/exchange.h"

/* 200: the response as JSON, or its RawBody untouched where the route says so. */
void answer_message(struct exchange *x, const ProtobufCMessage *response);
/* The problem document of the code and x->ctx.error. */
void answer_problem(struct exchange *x, tf_code code);
/* 200 or 304: the picture, for caches and without any right to act. */
void answer_picture(struct exchange *x, const struct picture *picture);
/* 204 that says what the path offers, to pages of allowed origins as CORS wants it. */
void answer_options(struct exchange *x);
/* GET /: who this is and where to go on. */
void answer_welcome(struct exchange *x);
