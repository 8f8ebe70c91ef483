/* Localised texts: order, choice by language, and the form in which they are stored (a JSON object from language tag to
 * text, "und" for a text without language).
 *
 * The order, and so the default (the first), does not depend on the file's: zh-CN, en, then the other tags by byte. */
#pragma once

#include "common/base/buf.h"
#include "common/json/json.h"
#include "ticketflow/program/v1/program.tf.h"

/* The languages of one text at most. */
enum { TEXT_LANGUAGES_MAX = 16 };

/* Sorts in place. */
void texts_sort(LocalizedTexts *texts);
/* The text in that language, else in one of the same primary language, else the first; "" when there is none. */
const char *texts_pick(const LocalizedTexts *texts, const char *language);
/* One text without language. NULL without memory. */
LocalizedTexts *texts_plain(tf_arena *arena, const char *text);
bool texts_equal(const LocalizedTexts *a, const LocalizedTexts *b);

/* Writes the object; NULL texts: {}. */
void texts_write(tf_json_writer *w, const LocalizedTexts *texts);
/* The stored form in the arena; NULL without memory. */
const char *texts_to_json(tf_arena *arena, const LocalizedTexts *texts);
/* Reads what texts_to_json wrote. Anything else than an object of strings gives empty texts. NULL without memory. */
LocalizedTexts *texts_from_value(tf_arena *arena, const tf_json *value);
LocalizedTexts *texts_from_json(tf_arena *arena, const char *json);
