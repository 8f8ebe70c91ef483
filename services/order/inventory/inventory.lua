#!lua name=tf_inventory_@TF_INVENTORY@
-- The inventory of shows: what is free, held, sold, blocked. Every function decides atomically; PostgreSQL's commit is the truth
-- (docs/purchase-protocol.md). @TF_INVENTORY@ stands for a digest of this file, put in by the build: a Redis that runs keeps the library it has, so whatever
-- is changed here comes under names of its own, and every show is rebuilt once.
--
-- Keys of a show, all with the tag of its partition:
--   m  string: head of 64 bytes (epoch u64, version i64, terms u32, sale state u32, numbers u32, bits of one bitmap u32, zeros), then four areas:
--      free places, sold places, blocked places (one bit per place number each), and the index: per tier and k = 1 … kmax a bitmap over the tier's
--      cells in order of rank; its bit is 1 iff k free places side by side start in the cell. A cell is 16 place numbers.
--   g  string, never written after loading: head (kmax, tiers, offset of the cell table, cells: u32), 32 bytes per tier (offset of its index in bits of m,
--      stride, offset of its ranks, first and last byte in a bitmap, places, standing, cells: u32), cell table (tier u8, rank u24), ranks (cell u32, twice the
--      best place number u32).
--   h  hash: order → "state user body-hash places persons"; state H held, S sold, B blocked; lists by comma, "-" without persons
--   u  hash: user → "tickets order …": what the account limit counts, then the orders in state H. The field stays when tickets reach 0.
--   p  hash: person → order
--   r  string per user and key: order that the key made; expires
-- per partition: due, a sorted set "show:order" → ms. Whole numbers are ends of holds; intents and leases end in .5, so that readers can tell them apart;
-- and once: tf:library, the digest of the library in force.
--
-- Orders, users and shows are strings throughout: a Lua number is exact up to 2^53 only.

-- The generation token: which epoch of a show this server process opened, with the show's tiers. Lives in the process only, so that a restart, a
-- fail-over, a resync or a reloaded library closes every show by itself. Bounded: the show opened longest ago is forgotten (and rebuilt on demand).
local open, staged, staged_n = {}, {}, 0   -- staged: the epoch that is being loaded, and how many steps were made
local ring, head, tail = {}, 0, 0
local SHOWS_MAX = 4096

local HEAD_BYTES, HEAD_BITS = 64, 512
local LEFT, SPAN = 2, 40            -- a window: 2 places before the cell, its 16, 22 behind it
local AHEAD_RANKS, AHEAD_CELLS = 32, 5
local DUE_SCAN = 64

local P = {[0] = 1}                 -- powers of two
for i = 1, 52 do P[i] = P[i - 1] * 2 end

-- While a library loads there are no globals but redis: the rest is bound at the first call.
local floor, frexp, match, gmatch, find, sub, concat, unpack_, number, pack, sunpack
local function bind()
  floor, frexp = math.floor, math.frexp
  match, gmatch, find, sub, concat = string.match, string.gmatch, string.find, string.sub, table.concat
  unpack_, number, pack, sunpack = unpack, tonumber, struct.pack, struct.unpack
end

-- The open generation and the head; nil: CLOSED.
local function enter(call, m, show)
  local o = open[show]
  if not o then return end
  local bytes = call('GETRANGE', m, '0', '23')
  if #bytes < 24 then return end
  local epoch, version, terms, state = sunpack('>I8I8I4I4', bytes)
  if epoch ~= o.epoch then return end
  return o, version, terms, state
end

---- windows: 40 bits as one number; bit 39 is place 16 * cell - 2 --------------------------------------------------------------------------

-- Longest run of free places that starts in the cell, at most kmax.
local function longest(w, kmax)
  local best = 0
  w = w % P[38]
  while w >= P[22] do
    local _, e = frexp(w)                   -- highest one is bit e-1
    local _, z = frexp(P[e] - 1 - w)        -- highest zero below it is bit z-1
    if e - z > best then
      best = e - z
      if best >= kmax then return kmax end
    end
    w = w % P[z]
  end
  return best
end

-- Start of k free places in the cell: of those that leave no single place beside them, else of all, the one whose middle is nearest to the best place of
-- the row; the lower of two. Nil when there is none; second result: leaves no single.
local function choose(w, cell, k, focal)
  local left = 16 * cell - LEFT
  local any, any_d, clean, clean_d
  local at = floor((focal - k + 1) / 2)
  while w >= P[22] do
    local _, e = frexp(w)
    local _, z = frexp(P[e] - 1 - w)
    local a, b = left + SPAN - e, left + SPAN - 1 - z   -- the run
    local lo, hi = a, b - k + 1
    if lo < 16 * cell then lo = 16 * cell end
    if hi > 16 * cell + 15 then hi = 16 * cell + 15 end
    if lo <= hi then
      local l = at
      if l > hi then l = hi elseif l < lo - 1 then l = lo - 1 end
      local r = l + 1
      while l >= lo or r <= hi do           -- outwards from the best start; at most two of them leave a single
        local dl, dr = focal - (2 * l + k - 1), 2 * r + k - 1 - focal
        if dl < 0 then dl = -dl end
        if dr < 0 then dr = -dr end
        local s, d
        if l >= lo and (r > hi or dl <= dr) then s, d, l = l, dl, l - 1 else s, d, r = r, dr, r + 1 end
        if not any or d < any_d then any, any_d = s, d end
        if s ~= a + 1 and s ~= b - k then
          if not clean or d < clean_d then clean, clean_d = s, d end
          break
        end
      end
    end
    w = w % P[z]
  end
  if clean then return clean, true end
  return any, false
end

---- a plan: what one call has seen and wants to change; written at the end ------------------------------------------------------------------

local function plan(call, m, g, o)
  return {call = call, m = m, g = g, o = o, cells = {}, n = 0, was = {}, now = {}, blocks = {}, spot = {}}
end

-- The part of block first … last that lies in the cell's window.
local function overlap(cell, first, last)
  local left = 16 * cell - LEFT
  if first < left then first = left end
  if last > left + SPAN - 1 then last = left + SPAN - 1 end
  if first > last then return 0 end
  return P[left + SPAN - first] - P[left + SPAN - 1 - last]
end

-- A cell's window v as the server has it; what this call took before is taken off.
local function seen_window(s, c, v)
  s.was[c] = v
  for j = 1, #s.blocks do v = v - overlap(c, s.blocks[j][1], s.blocks[j][2]) end
  s.now[c] = v
end

local function look_at(s, c)
  if s.now[c] then return end
  s.n = s.n + 1
  s.cells[s.n] = c
  seen_window(s, c, s.call('BITFIELD_RO', s.m, 'GET', 'u40', HEAD_BITS + 16 * c - LEFT)[1])
end

local function look(s, cells)
  local a, n, from = {'BITFIELD_RO', s.m}, 2, s.n
  for i = 1, #cells do
    local c = cells[i]
    if not s.now[c] then
      s.now[c] = 0
      s.n = s.n + 1
      s.cells[s.n] = c
      a[n + 1], a[n + 2], a[n + 3] = 'GET', 'u40', HEAD_BITS + 16 * c - LEFT
      n = n + 3
    end
  end
  if n == 2 then return end
  local w = s.call(unpack_(a))
  for i = 1, #w do seen_window(s, s.cells[from + i], w[i]) end
end

local function is_free(s, place)            -- its cell was looked at
  local c = floor(place / 16)
  return floor(s.now[c] / P[16 * c - LEFT + SPAN - 1 - place]) % 2 == 1
end

-- Takes k free places from first on; the first one's cell was looked at.
local function take(s, first, k)
  local last = first + k - 1
  local c0, c1 = floor(first / 16), floor(last / 16)
  local left = 16 * c0 - LEFT
  if floor(s.now[c0] / P[left + SPAN - first]) % 2 == 1 then    -- the place before is free: longer runs end here
    c0 = floor((first - s.o.kmax + 1) / 16)
    if c0 < 2 then c0 = 2 end
  end
  if c1 - c0 < 2 then
    look_at(s, c0)
    look_at(s, c1)
  else
    local cells = {}
    for c = c0, c1 do cells[#cells + 1] = c end
    look(s, cells)
  end
  for i = 1, s.n do
    local c = s.cells[i]
    s.now[c] = s.now[c] - overlap(c, first, last)
  end
  s.blocks[#s.blocks + 1] = {first, last}
end

-- Gives places back; those that are free already stay so.
local function give(s, places)
  local cells = {}
  for i = 1, #places do
    local c0 = floor((places[i] - s.o.kmax + 1) / 16)
    if c0 < 2 then c0 = 2 end
    for c = c0, floor(places[i] / 16) do cells[#cells + 1] = c end
  end
  look(s, cells)
  for i = 1, #places do
    local place = places[i]
    if not is_free(s, place) then
      for j = 1, s.n do
        local c = s.cells[j]
        s.now[c] = s.now[c] + overlap(c, place, place)
      end
    end
  end
end

-- Appends the changes of the index to the BITFIELD command a of n arguments.
local function reindex(s, a, n)
  for i = 1, s.n do
    local c = s.cells[i]
    if s.was[c] ~= s.now[c] then
      local from, to, bit = longest(s.now[c], s.o.kmax), longest(s.was[c], s.o.kmax), '0'
      if from ~= to then
        local spot = s.spot[c]                -- its bit in the index's first bitmap, and the stride
        if not spot then
          local at = s.o.cell_table + 4 * c
          local t, b2, b1, b0 = s.call('GETRANGE', s.g, at, at + 3):byte(1, 4)
          spot = s.o.tiers[t].index + (b2 * 256 + b1) * 256 + b0
          s.spot[c] = spot
          s.spot[-c] = s.o.tiers[t].stride
        end
        local stride = s.spot[-c]
        if from > to then from, to, bit = to, from, '1' end
        for k = from + 1, to do
          a[n + 1], a[n + 2], a[n + 3], a[n + 4] = 'SET', 'u1', spot + (k - 1) * stride, bit
          n = n + 4
        end
      end
    end
  end
  return n
end

-- Writes the command and moves the version on; returns the new version.
local function write(s, a, n)
  a[n + 1], a[n + 2], a[n + 3], a[n + 4] = 'INCRBY', 'i64', '64', '1'
  local replies = s.call(unpack_(a))
  return replies[#replies]
end

---- choice ---------------------------------------------------------------------------------------------------------------------------------

-- Start of the best block of k places in the tier; nil: none.
local function best(s, t, k)
  local tier, call = s.o.tiers[t], s.call
  local b0 = tier.index + (k - 1) * tier.stride
  local b1, from = b0 + tier.stride - 1, b0
  while from <= b1 do
    local x = call('BITPOS', s.m, '1', from, b1, 'BIT')
    if x < 0 then return end
    local at = tier.ranks + 8 * (x - b0)
    local cell, focal = sunpack('>I4I4', call('GETRANGE', s.g, at, at + 7))
    look_at(s, cell)
    s.spot[cell], s.spot[-cell] = tier.index + x - b0, tier.stride
    local start, clean = choose(s.now[cell], cell, k, focal)
    if start then
      local left = b1 - x
      if clean or tier.standing or left == 0 then return start end
      local y = call('BITFIELD_RO', s.m, 'GET', 'u32', x + 1)[1]
      if left < AHEAD_RANKS then y = y - y % P[AHEAD_RANKS - left] end
      if y == 0 then return start end
      local ranks, cells, focals = call('GETRANGE', s.g, at + 8, at + 8 * AHEAD_RANKS + 7), {}, {}
      while y > 0 and #cells < AHEAD_CELLS do
        local _, e = frexp(y)
        y = y - P[e - 1]
        local n = #cells + 1
        cells[n], focals[n] = sunpack('>I4I4', ranks, 8 * (AHEAD_RANKS - e) + 1)
      end
      look(s, cells)
      for i = 1, #cells do
        local other, other_clean = choose(s.now[cells[i]], cells[i], k, focals[i])
        if other_clean then return other end
      end
      return start
    end
    if s.was[cell] == s.now[cell] then error('CORRUPT index of cell ' .. cell) end
    from = x + 1                            -- what was there, this very call has taken
  end
end

-- Takes k places in pieces: as few as possible, rather two and two than three and one. The pieces end up by place number.
local function split(s, t, k)
  local gone, left, from = {}, k, #s.blocks + 1
  gone[k] = true
  local function try(size)
    if size < 1 or size > left or gone[size] then return end
    local start = best(s, t, size)
    if not start then gone[size] = true return end
    take(s, start, size)
    left = left - size
    return true
  end
  while left > 0 do
    local done, size = try(left), left - 2
    while not done and size > 1 do
      done = try(size)
      size = size - 1
    end
    if not (done or try(left - 1) or try(1)) then error('CORRUPT index of tier ' .. t) end
  end
  for i = from + 1, #s.blocks do
    local block, j = s.blocks[i], i - 1
    while j >= from and s.blocks[j][1] > block[1] do
      s.blocks[j + 1] = s.blocks[j]
      j = j - 1
    end
    s.blocks[j + 1] = block
  end
end

local function count(call, m, o, tier, area)   -- area 0 free, 1 sold, 2 blocked
  local at = HEAD_BYTES + area * o.bitmap / 8
  return call('BITCOUNT', m, at + tier.first, at + tier.last)
end

-- Earliest end of a committed hold of the show among the first entries; 0: none seen.
local function next_release(call, due, show, now, intents_until)
  local prefix = show .. ':'
  for _, from in ipairs({now, intents_until + 1}) do   -- if need be, behind all intents and leases
    local list = call('ZRANGEBYSCORE', due, from, '+inf', 'WITHSCORES', 'LIMIT', '0', DUE_SCAN)
    for i = 1, #list, 2 do
      if sub(list[i], 1, #prefix) == prefix and not find(list[i + 1], '.', 1, true) then return number(list[i + 1]) end
    end
    if #list < 2 * DUE_SCAN then return 0 end
  end
  return 0
end

-- Takes the choices into the plan; a refusal instead when one cannot be met.
local function take_choices(s, K, A, from, known)
  local asked = {}
  for i = from, #A, 3 do
    local t, k, may_split = number(A[i]), number(A[i + 1]), A[i + 2] == '1'
    local tier = s.o.tiers[t]
    if not tier or asked[t] or k < 1 or k > s.o.kmax then error('BAD choice of ' .. A[i + 1] .. ' in tier ' .. A[i]) end
    asked[t] = true
    local start = tier.cells > 0 and best(s, t, k)
    if start then
      take(s, start, k)
    else
      local free = count(s.call, s.m, s.o, tier, 0)
      if free >= k and (may_split or tier.standing) then
        split(s, t, k)
      else
        local held = tier.places - free - count(s.call, s.m, s.o, tier, 1) - count(s.call, s.m, s.o, tier, 2)
        local why = free >= k and 'NO_ADJACENT' or (free == 0 and held == 0) and 'SOLD_OUT' or 'NONE_FREE'
        return {why, known, t, free, held, held > 0 and next_release(s.call, K[6], A[1], number(A[8]), number(A[9])) or 0}
      end
    end
  end
end

-- Takes the chosen places into the plan; a refusal that lists the taken ones otherwise.
local function take_places(s, known, version, places)
  local cells, taken = {}, {}
  for i = 1, #places do
    local place = places[i]
    if not place or place < 32 or place >= s.o.numbers or place ~= floor(place) then error('BAD place') end
    cells[#cells + 1] = floor(place / 16)
    if place % 16 < s.o.kmax - 1 and place >= 48 then cells[#cells + 1] = floor((place - s.o.kmax + 1) / 16) end
  end
  for i = 1, #cells do if cells[i] < 2 then cells[i] = 2 end end
  look(s, cells)
  for i = 1, #places do
    if not is_free(s, places[i]) then taken[#taken + 1] = places[i] end
  end
  if #taken > 0 then return {'PLACES_TAKEN', known, s.o.epoch, version, unpack_(taken)} end
  for i = 1, #places do
    if not is_free(s, places[i]) then error('BAD place listed twice') end
    take(s, places[i], 1)
  end
end

---- functions ------------------------------------------------------------------------------------------------------------------------------

-- KEYS m g h u p due r
-- ARGV show order user body-hash terms limit one-pending(0/1) now intent-due ttl-s persons(n) person … then
--      "P" place …   or   "B" (tier count split(0/1)) …
-- HELD or AGAIN epoch order version place …; else the refusal with what it needs. An order number comes here once.
local function hold(K, A)
  local call, m, g, h, u, p, due, r = redis.call, K[1], K[2], K[3], K[4], K[5], K[6], K[7]
  local show, order, user, body, limit = A[1], A[2], A[3], A[4], number(A[6])
  local o, version, terms, state = enter(call, m, show)
  if not o then return {'CLOSED'} end

  if terms ~= number(A[5]) then return {'TERMS', terms} end  -- before the key: what was decided on other terms is not decided on these
  local first = call('GET', r)
  local record = first and call('HGET', h, first)
  if record then
    local hash, places = match(record, '^%a %d+ (%S+) (%S+)')
    if hash ~= body then return {'KEY_REUSED'} end
    local reply = {'AGAIN', o.epoch, first, version}
    for place in gmatch(places, '%d+') do reply[#reply + 1] = number(place) end
    return reply
  end

  local mine = call('HGET', u, user)
  local known = mine and 1 or 0
  if state ~= 1 then return {state == 3 and 'WITHDRAWN' or 'PAUSED', known} end

  local persons, n = number(A[11]), 0
  local at = 13 + persons                     -- of the first place or choice
  if A[at - 1] == 'P' then
    n = #A - at + 1
  else
    for i = at + 1, #A, 3 do n = n + number(A[i]) end
  end

  local tickets, pending = '0', ''
  if mine then tickets, pending = match(mine, '^(%d+)(.*)$') end
  if A[7] == '1' and pending ~= '' then return {'PENDING_ORDER', known, match(pending, '%d+')} end
  tickets = number(tickets)
  if tickets + n > limit then return {'LIMIT', known, limit > tickets and limit - tickets or 0} end
  if persons > 0 then
    local owners, seen = call('HMGET', p, unpack_(A, 12, 11 + persons)), {}
    for i = 1, persons do
      local person = A[11 + i]
      if owners[i] or seen[person] then return {'PERSON', known, i - 1} end
      seen[person] = true
    end
  end

  local s = plan(call, m, g, o)
  local refusal
  if n == 0 or n > 20 then error('BAD number of places') end
  if A[at - 1] == 'P' then
    local places = {}
    for i = at, #A do places[#places + 1] = number(A[i]) end
    refusal = take_places(s, known, version, places)
  else
    refusal = take_choices(s, K, A, at, known)
  end
  if refusal then return refusal end

  local a, c = {'BITFIELD', m}, 2
  local reply = {'HELD', o.epoch, order, 0}
  for i = 1, #s.blocks do
    local block = s.blocks[i]
    a[c + 1], a[c + 2], a[c + 3], a[c + 4] = 'SET', 'u' .. (block[2] - block[1] + 1), HEAD_BITS + block[1], '0'
    c = c + 4
    for place = block[1], block[2] do reply[#reply + 1] = place end
  end
  c = reindex(s, a, c)
  -- Nothing above wrote; nothing below refuses.
  reply[4] = write(s, a, c)
  call('HSET', h, order, 'H ' .. user .. ' ' .. body .. ' ' .. concat(reply, ',', 5) .. ' ' .. (persons > 0 and concat(A, ',', 12, 11 + persons) or '-'))
  call('HSET', u, user, (tickets + n) .. pending .. ' ' .. order)
  if persons > 0 then
    local f = {'HSET', p}
    for i = 1, persons do f[#f + 1], f[#f + 2] = A[11 + i], order end
    call(unpack_(f))
  end
  call('SET', r, order, 'EX', A[10])
  call('ZADD', due, A[9] .. '.5', show .. ':' .. order)
  return reply
end

-- KEYS m due   ARGV show (order due) …   Sets the due times of committed orders that still have one.
local function confirm(K, A)
  local show = A[1]
  if not enter(redis.call, K[1], show) then return {'CLOSED'} end
  local a = {'ZADD', K[2], 'XX'}
  for i = 2, #A, 2 do a[#a + 1], a[#a + 2] = A[i + 1], show .. ':' .. A[i] end
  redis.call(unpack_(a))
  return {'OK'}
end

-- KEYS due   ARGV now lease-end n   → {due members}, {shows that are closed here}. Nothing is removed: an entry not settled comes due again.
local function claim(K, A)
  local call = redis.call
  local list = call('ZRANGEBYSCORE', K[1], '-inf', A[1], 'LIMIT', '0', A[3])
  local due, closed, seen, a = {}, {}, {}, {'ZADD', K[1], 'XX'}
  for i = 1, #list do
    local show = match(list[i], '^(%d+):')
    a[#a + 1], a[#a + 2] = A[2] .. '.5', list[i]
    if open[show] then
      due[#due + 1] = list[i]
    elseif not seen[show] then
      seen[show] = true
      closed[#closed + 1] = show
    end
  end
  if #list > 0 then call(unpack_(a)) end
  return {due, closed}
end

-- One order: frees what its own record lists beyond `live`, sets state and due. Shrinks only, so old or repeated reads cannot hurt.
local function settle_one(s, K, show, order, state, due_ms, live)
  local call, h, u, p, due, member = s.call, K[3], K[4], K[5], K[6], show .. ':' .. order
  local record = call('HGET', h, order)
  if not record then
    call('ZREM', due, member)
    return
  end
  local was, user, body, places, persons = match(record, '^(%a) (%d+) (%S+) (%S+) (%S+)$')
  local alive, kept, kept_persons, freed, freed_persons = {}, {}, {}, {}, {}
  for place in gmatch(live, '%d+') do alive[place] = true end
  local next_person = gmatch(persons, '[^,]+')
  for place in gmatch(places, '%d+') do
    local person = persons ~= '-' and next_person() or nil
    if alive[place] then
      kept[#kept + 1], kept_persons[#kept_persons + 1] = place, person
    else
      freed[#freed + 1], freed_persons[#freed_persons + 1] = number(place), person
    end
  end
  if was ~= 'H' then state = was end        -- sold does not become held again: this read is older than that one

  local a, c = {'BITFIELD', s.m}, 2
  if #freed > 0 then
    give(s, freed)
    for i = 1, #freed do
      a[c + 1], a[c + 2], a[c + 3], a[c + 4] = 'SET', 'u1', HEAD_BITS + freed[i], '1'
      c = c + 4
      if was ~= 'H' then
        a[c + 1], a[c + 2], a[c + 3], a[c + 4] = 'SET', 'u1', HEAD_BITS + s.o.bitmap * (was == 'S' and 1 or 2) + freed[i], '0'
        c = c + 4
      end
    end
    c = reindex(s, a, c)
  end
  if state ~= was then
    for i = 1, #kept do
      a[c + 1], a[c + 2], a[c + 3], a[c + 4] = 'SET', 'u1', HEAD_BITS + s.o.bitmap * (state == 'S' and 1 or 2) + number(kept[i]), '1'
      c = c + 4
    end
  end
  if c > 2 then write(s, a, c) end

  if was ~= 'B' and (#freed > 0 or state ~= was) then
    local tickets, pending = match(call('HGET', u, user) or '0', '^(%d+)(.*)$')
    if was == 'H' and (state ~= 'H' or #kept == 0) then
      local rest = {}
      for other in gmatch(pending, '%d+') do if other ~= order then rest[#rest + 1] = ' ' .. other end end
      pending = concat(rest)
    end
    tickets = number(tickets) - #freed
    call('HSET', u, user, (tickets > 0 and tickets or 0) .. pending)
  end
  for i = 1, #freed_persons do
    if call('HGET', p, freed_persons[i]) == order then call('HDEL', p, freed_persons[i]) end
  end
  if #kept == 0 then
    call('HDEL', h, order)
    call('ZREM', due, member)
    return
  end
  if #freed > 0 or state ~= was then
    call('HSET', h, order, state .. ' ' .. user .. ' ' .. body .. ' ' .. concat(kept, ',') .. ' ' .. (persons ~= '-' and concat(kept_persons, ',') or '-'))
  end
  if state == 'H' then call('ZADD', due, due_ms, member) else call('ZREM', due, member) end
end

-- KEYS m g h u p due   ARGV show epoch-read (order state due live) …   state H, S, B; live: places by comma, "-" for none
-- OK, CLOSED, or STALE: what was read belongs to a newer generation than this server's.
local function settle(K, A)
  local call, show = redis.call, A[1]
  local o = enter(call, K[1], show)
  if not o then return {'CLOSED'} end
  if o.epoch < number(A[2]) then return {'STALE', o.epoch} end
  for i = 3, #A, 4 do
    settle_one(plan(call, K[1], K[2], o), K, show, A[i], A[i + 1], A[i + 2], A[i + 3])
  end
  return {'OK'}
end

local function seen_epoch(call, m, show)
  local bytes, seen = call('GETRANGE', m, '0', '7'), staged[show] and staged[show].epoch or 0
  if #bytes == 8 then
    local epoch = sunpack('>I8', bytes)
    if epoch > seen then seen = epoch end
  end
  if open[show] and open[show].epoch > seen then seen = open[show].epoch end
  return seen
end

-- KEYS m   ARGV show   → OPEN epoch terms 0 0, or CLOSED greatest-epoch-seen-here 0 epoch-being-loaded (0: none) steps-of-the-load
-- Declared as one that writes: what could not begin a generation here (a replica, no memory) must not be asked in vain whether one is needed.
local function seen(K, A)
  local o, _, terms = enter(redis.call, K[1], A[1])
  if o then return {'OPEN', o.epoch, terms, 0, 0} end
  local s = staged[A[1]]
  return {'CLOSED', seen_epoch(redis.call, K[1], A[1]), 0, s and s.epoch or 0, s and s.steps or 0}
end

-- KEYS m, then staging m g h u p   ARGV show epoch   Closes the show and starts a new generation. May be repeated until open was first sent.
local function begin(K, A)
  local call, show, epoch = redis.call, A[1], number(A[2])
  local greatest = seen_epoch(call, K[1], show)
  if epoch < greatest or (epoch == greatest and not (staged[show] and staged[show].epoch == epoch)) then return {'STALE', greatest} end
  open[show] = nil
  if not staged[show] then
    staged_n = staged_n + 1
    if staged_n > SHOWS_MAX then staged, staged_n = {}, 1 end   -- whoever loads now is refused and starts again
  end
  staged[show] = {epoch = epoch, steps = 0}
  call('UNLINK', K[2], K[3], K[4], K[5], K[6])
  return {'OK'}
end

-- KEYS staging m g h u p, due   ARGV show epoch what …   what: m or g: offset bytes; h, u, p: field value …; d: due order …
local function load(K, A)
  local call, show, what, s = redis.call, A[1], A[3], staged[A[1]]
  if not s or s.epoch ~= number(A[2]) then return {'STALE'} end
  s.steps = s.steps + 1
  if what == 'm' or what == 'g' then
    call('SETRANGE', what == 'm' and K[1] or K[2], A[4], A[5])
  elseif what == 'd' then
    local a = {'ZADD', K[6]}
    for i = 4, #A, 2 do a[#a + 1], a[#a + 2] = A[i], show .. ':' .. A[i + 1] end
    call(unpack_(a))
  else
    call('HSET', what == 'h' and K[3] or what == 'u' and K[4] or K[5], unpack_(A, 4))
  end
  return {'OK'}
end

local function remember(show, o)
  tail = tail + 1
  ring[tail], open[show], o.at = show, o, tail
  while tail - head > SHOWS_MAX do
    head = head + 1
    local old = ring[head]
    ring[head] = nil
    if open[old] and open[old].at == head then open[old] = nil end
  end
end

-- KEYS m g h u p, staging m g h u p   ARGV show epoch (sizes of m g h u p)
-- OK also when this epoch is open already; REFUSED: start again with a new epoch.
local function open_(K, A)
  local call, show, epoch = redis.call, A[1], number(A[2])
  if open[show] and open[show].epoch == epoch then return {'OK'} end
  if not staged[show] or staged[show].epoch ~= epoch then return {'REFUSED', 'not begun here'} end
  for i = 1, 5 do
    if call(i < 3 and 'STRLEN' or 'HLEN', K[5 + i]) ~= number(A[2 + i]) then return {'REFUSED', 'count ' .. i} end
  end
  local bytes = call('GETRANGE', K[6], '0', '31')
  if #bytes < 32 then return {'REFUSED', 'no head'} end
  local stored, _, _, _, numbers, bitmap = sunpack('>I8I8I4I4I4I4', bytes)
  if stored ~= epoch then return {'REFUSED', 'epoch of head'} end

  local geometry = call('GETRANGE', K[7], 0, 16 + 32 * 32 - 1)
  local kmax, n, cell_table = sunpack('>I4I4I4', geometry)
  local o = {epoch = epoch, numbers = numbers, bitmap = bitmap, kmax = kmax, cell_table = cell_table, tiers = {}}
  for t = 1, n do
    local index, stride, ranks, first, last, places, standing, cells = sunpack('>I4I4I4I4I4I4I4I4', geometry, 17 + 32 * (t - 1))
    o.tiers[t] = {index = index, stride = stride, ranks = ranks, first = first, last = last, places = places, standing = standing == 1, cells = cells}
  end
  for i = 1, 5 do
    call('UNLINK', K[i])
    if call('EXISTS', K[5 + i]) == 1 then call('RENAME', K[5 + i], K[i]) end
  end
  staged[show], staged_n = nil, staged_n - 1
  remember(show, o)
  return {'OK'}
end

-- KEYS m   ARGV show sale-state
local function state(K, A)
  local o, _, _, now = enter(redis.call, K[1], A[1])
  if not o then return {'CLOSED'} end
  if now ~= number(A[2]) then
    redis.call('SETRANGE', K[1], '20', pack('>I4', number(A[2])))
    redis.call('BITFIELD', K[1], 'INCRBY', 'i64', '64', '1')
  end
  return {'OK'}
end

-- KEYS m due   ARGV show now intents-until   → OK epoch version terms sale-state bits-of-one-bitmap free+sold+blocked next-release
local function read(K, A)
  local call, m, show = redis.call, K[1], A[1]
  local o, version, terms, sale_state = enter(call, m, show)
  if not o then return {'CLOSED'} end
  return {'OK', o.epoch, version, terms, sale_state, o.bitmap, call('GETRANGE', m, HEAD_BYTES, HEAD_BYTES + 3 * o.bitmap / 8 - 1),
    next_release(call, K[2], show, A[2], number(A[3]))}
end

-- KEYS m u   ARGV show user   → OK tickets known
local function used(K, A)
  if not enter(redis.call, K[1], A[1]) then return {'CLOSED'} end
  local mine = redis.call('HGET', K[2], A[2])
  return {'OK', mine and number(match(mine, '^%d+')) or 0, mine and 1 or 0}
end

-- KEYS library   ARGV take(0/1) lease-ms   → OK: this library is in force; or SUPERSEDED digest-of-the-one-in-force
-- Two libraries never have the same show open, so those who call them would close it to each other for ever: who started last takes the lead, and the
-- others stand back until its lease ends.
local function lead(K, A)
  local force = redis.call('GET', K[1])
  if force and force ~= '@TF_INVENTORY@' and A[1] ~= '1' then return {'SUPERSEDED', force} end
  redis.call('SET', K[1], '@TF_INVENTORY@', 'PX', A[2])
  return {'OK'}
end

local function register(name, callback, flags)
  redis.register_function{function_name = 'tf_@TF_INVENTORY@_' .. name, flags = flags, callback = function(K, A)
    if not floor then bind() end
    return callback(K, A)
  end}
end

register('hold', hold, {})
register('confirm', confirm, {'allow-oom'})
register('claim', claim, {'allow-oom'})
register('settle', settle, {'allow-oom'})
register('seen', seen, {})
register('begin', begin, {})
register('load', load, {})
register('open', open_, {})
register('state', state, {'allow-oom'})
register('read', read, {'no-writes'})
register('used', used, {'no-writes'})
register('lead', lead, {'allow-oom'})
