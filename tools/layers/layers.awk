# Reads the rules (variable `rules`), then names of files on standard input, and prints every include that a rule forbids as
# FILE:LINE: what, and where it would be allowed. Exit status 1 when there was one, 2 when the rules are malformed.

function die(text) {
    print "layers: " text > "/dev/stderr"
    fatal = 2
    exit 2
}

function starts(text, prefix) {
    return substr(text, 1, length(prefix)) == prefix
}

# True when path is prefix or below it.
function below(path, prefix) {
    return path == prefix || starts(path, prefix "/")
}

# The room of a file: the longest declared path that holds it; "" when none does.
function room_of(path,    r, best) {
    best = ""
    for (r in allowed)
        if (below(path, r) && length(r) > length(best)) best = r
    return best
}

# "a/b/../c.h" → "a/c.h"
function normal(path,    parts, n, i, out, depth) {
    n = split(path, parts, "/")
    depth = 0
    for (i = 1; i <= n; i++) {
        if (parts[i] == "." || parts[i] == "") continue
        if (parts[i] == ".." && depth > 0) depth--
        else out[++depth] = parts[i]
    }
    path = ""
    for (i = 1; i <= depth; i++) path = path (i > 1 ? "/" : "") out[i]
    return path
}

function exists(path,    line, got) {
    if (path in known) return known[path]
    got = (getline line < path) >= 0
    close(path)
    return known[path] = got
}

# Which rooms may include this path, for the message.
function rooms_that_may(path,    r, words, n, i, list) {
    list = ""
    for (r in allowed) {
        n = split(allowed[r], words, " ")
        for (i = 1; i <= n; i++)
            if (below(path, words[i])) {
                list = list " " r
                break
            }
    }
    return list == "" ? " none but its own" : list
}

function forbid(file, line, text) {
    printf "%s:%d: %s\n", file, line, text
    violations++
}

function check_quoted(file, line, header,    dir, target, own, room, words, n, i) {
    dir = file
    sub(/[^\/]*$/, "", dir)
    target = normal(header)
    if (!exists(target) && (exists(dir header) || header !~ /\//)) target = normal(dir header) # beside it, or generated there
    room = room_of(file)
    own = room_of(target)
    if (own == room || below(target, room)) return
    n = split(allowed[room], words, " ")
    for (i = 1; i <= n; i++)
        if (below(target, words[i])) return
    forbid(file, line, "room " room " may not include \"" header "\"; allowed in:" rooms_that_may(target))
}

function check_angle(file, line, header,    p, words, n, i) {
    for (p in foreign) {
        if (!starts(header, p)) continue
        n = split(foreign[p], words, " ")
        for (i = 1; i <= n; i++)
            if (below(file, words[i])) return
        forbid(file, line, "<" header "> belongs to a foreign library; allowed in: " foreign[p])
        return
    }
    if (header in system_header) return
    for (p in system_dir)
        if (starts(header, p)) return
    forbid(file, line, "<" header "> is neither a system header nor a known library; see tools/layers.txt")
}

function check_file(file,    line, number, header) {
    if (room_of(file) == "") {
        forbid(file, 1, "lies in no room of tools/layers.txt")
        return
    }
    number = 0
    while ((getline line < file) > 0) {
        number++
        if (line !~ /^[ \t]*#[ \t]*include[ \t]*["<]/) continue
        sub(/^[ \t]*#[ \t]*include[ \t]*/, "", line)
        header = substr(line, 2)
        sub(/[">].*$/, "", header)
        if (starts(line, "<")) check_angle(file, number, header)
        else check_quoted(file, number, header)
    }
    close(file)
    files++
}

BEGIN {
    while ((got = (getline rule < rules)) > 0) {
        sub(/#.*$/, "", rule)
        n = split(rule, word, " ")
        if (n == 0) continue
        if (n < 2) die("malformed rule: " rule)
        rest = ""
        for (i = 3; i <= n; i++) rest = rest (rest == "" ? "" : " ") word[i]
        if (word[1] == "room") {
            allowed[word[2]] = rest
        } else if (word[1] == "foreign") {
            foreign[word[2]] = rest
        } else if (word[1] == "system") {
            for (i = 2; i <= n; i++) {
                if (word[i] ~ /\/$/) system_dir[word[i]] = 1
                else system_header[word[i]] = 1
            }
        } else {
            die("unknown rule: " word[1])
        }
    }
    if (got < 0) die("cannot read " rules)
}

{ check_file($0) }

END {
    if (fatal) exit fatal
    if (files == 0) die("found no files")
    if (violations) {
        printf "layers: %d forbidden include%s\n", violations, violations == 1 ? "" : "s"
        exit 1
    }
    printf "layers: %d files keep to their rooms\n", files
}
