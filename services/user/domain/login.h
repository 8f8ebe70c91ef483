/* Names that log in: mobiles and e-mail addresses, their one form and their mask. Pure. */
#pragma once

#include "common/base/arena.h"

enum login_kind { LOGIN_INVALID, LOGIN_MOBILE, LOGIN_EMAIL };

enum { LOGIN_TEXT_MAX = 254 };

/* E.164: "+86…" is put before a Chinese mobile of 11 digits; blanks and hyphens between digits are dropped. NULL: not a
 * mobile. In the arena. */
char *login_mobile(tf_arena *arena, const char *text);
/* Lower case. NULL: not an address that mail could reach. In the arena. */
char *login_email(tf_arena *arena, const char *text);
/* Either; *ret_normal in the arena. */
enum login_kind login_parse(tf_arena *arena, const char *text, char **ret_normal);

/* "138****5678" for Chinese mobiles, "+44******321" else. */
char *login_mobile_mask(tf_arena *arena, const char *mobile);
/* "a***@example.org". */
char *login_email_mask(tf_arena *arena, const char *email);
