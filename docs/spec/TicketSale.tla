----------------------------- MODULE TicketSale -----------------------------
(***************************************************************************)
(* How the places of one show are sold (docs/purchase-protocol.md), as a   *)
(* model that TLC walks through to the end.  PostgreSQL is the truth,      *)
(* Redis decides; between any two steps any process may die, and any call  *)
(* may arrive late, twice, or never.                                       *)
(*                                                                         *)
(* Time is no part of it: whatever has a due time may come due at any      *)
(* moment, so that no promise can rest on a duration.                      *)
(*                                                                         *)
(* Every rule of the protocol has a name.  `Without` names the rules that  *)
(* a configuration leaves out; README.md says which promise then breaks.   *)
(* What is promised is in Promises.tla.                                    *)
(***************************************************************************)
EXTENDS Integers, FiniteSets, TLC

CONSTANTS
  Buyers, Operators,  \* each sends ONE request, under one key, again and again; an operator's is a block
  Places,
  Settlers,           \* threads that settle, in any instances
  Builders,           \* threads that rebuild, and callers who pause or resume
  Servers,            \* Redis processes; with two, anybody may meet either at every step
  None,
  Numbers,            \* order numbers of a key alive at one time; what nothing remembers is used again
  PlacesMax,          \* of an order
  Payments,           \* that may succeed for an order
  EpochMax, TermsMax, PausesMax, FaultsMax,
  Partly,             \* TRUE: single tickets of an order are refunded
  Slow,               \* TRUE: settle's writing transaction may stay open after its read
  Timed,              \* TRUE: holds end when PostgreSQL's clock says so; FALSE: at any moment
  Wrong,              \* TRUE: Redis may forget that a place is taken (a fault of ours or of its memory)
  Told,               \* TRUE: a buyer who was answered is remembered, and stops asking
  Lively,             \* TRUE: crashes count as faults and rebuilds begin where the protocol begins one (liveness)
  Without             \* rules left out

Rules == {"fence", "share lock", "terms", "pause", "repeat terms", "unique key", "unique place", "whole order",
          "tombstone", "epoch read", "own record", "live list", "shrink only", "intent", "lease", "sale time",
          "settle queue", "queue tag", "refund live", "late money", "token", "read after raise", "late dues",
          "known users", "open once", "begin once", "hold once", "answer after commit", "compare after open",
          "read again", "epoch asks", "terms ask"}
ASSUME Without \subseteq Rules

\* ---- the fence and the commit: commit_orders
Fence             == "fence" \notin Without             \* only decisions of the fence's epoch
ShareLock         == "share lock" \notin Without        \* who changes the fence row waits for running batches
TermsChecked      == "terms" \notin Without             \* only decisions on the fence's terms (sales)
PauseChecked      == "pause" \notin Without             \* only while on sale (sales)
UniqueKey         == "unique key" \notin Without        \* one order per user and request id
UniquePlace       == "unique place" \notin Without      \* one live ticket per place: the last line
WholeOrder        == "whole order" \notin Without       \* an order that does not get all its tickets is undone
AnswerAfterCommit == "answer after commit" \notin Without \* answers are built from the stored row
\* ---- hold
RepeatTerms       == "repeat terms" \notin Without      \* a repeated decision commits on the terms it was made on
Intent            == "intent" \notin Without            \* a hold writes a due time together with its places
HoldOnce          == "hold once" \notin Without         \* an order number goes to hold once
\* ---- settle
Tombstone         == "tombstone" \notin Without         \* absence is made final before a place is freed
EpochRead         == "epoch read" \notin Without        \* an inventory older than what was read refuses: STALE
OwnRecord         == "own record" \notin Without        \* frees only what the order's own record lists ...
LiveList          == "live list" \notin Without         \* ... and no live ticket has
ShrinkOnly        == "shrink only" \notin Without       \* a record never grows
Lease             == "lease" \notin Without             \* a claimed due time is moved on, not removed
SaleTime          == "sale time" \notin Without         \* PostgreSQL's clock says what is over
SettleQueue       == "settle queue" \notin Without      \* a change of an order leaves a row in settle_queue
QueueTag          == "queue tag" \notin Without         \* that row goes only if it is as it was read
\* ---- money
RefundLive        == "refund live" \notin Without       \* only a live ticket is refunded
LateMoney         == "late money" \notin Without        \* a payment that no order can take is owed back
\* ---- generations
Token             == "token" \notin Without             \* what is open lives in Redis's process, and dies with it
ReadAfterRaise    == "read after raise" \notin Without  \* a rebuild reads PostgreSQL after its raise
LateDues          == "late dues" \notin Without         \* unpaid orders are loaded with their due time, passed or not
KnownUsers        == "known users" \notin Without       \* so are all who ever had an order
OpenOnce          == "open once" \notin Without         \* a second open(e) changes nothing
BeginOnce         == "begin once" \notin Without        \* begin(e) is not sent again once open(e) was
CompareAfterOpen  == "compare after open" \notin Without \* a rebuild ends by reading the fence once more
ReadAgain         == "read again" \notin Without        \* who tells Redis the sale state reads the fence after that
EpochAsks         == "epoch asks" \notin Without        \* EPOCH and STALE ask for a rebuild, as CLOSED does
TermsAsk          == "terms ask" \notin Without         \* so does TERMS

VARIABLES
  \* ---- PostgreSQL
  fence,            \* inventory: epoch, terms, sale ("ON" or "OFF": paused, withdrawn)
  row,              \* orders and tickets: state, places as sold, live places, the payment that paid
  refund,           \* refund_due, ticket by ticket: <<order, payment, place, how often>>
  queue,            \* settle_queue
  over,             \* orders whose release has passed
  \* ---- on the way
  run,              \* commits that hold the fence's share lock
  sent,             \* commits that may still arrive, once or often
  evt,              \* payments whose payment.succeeded was delivered
  \* ---- Redis
  srv,              \* per server: hdr (epoch in m), tok (open[show]), stg (staged[show]), terms, sale, h, taken, due,
                    \* key (r), known (u)
  \* ---- processes
  wk, bd,           \* settlers, builders
  ans,              \* orders answered OK to the user
  faults, pauses

pg   == <<fence, row, refund, queue, over>>
vars == <<fence, row, refund, queue, over, run, sent, evt, srv, wk, bd, ans, faults, pauses>>

Users     == Buyers \cup Operators
Orders    == Users \X (1..Numbers)
User(o)   == o[1]
Block(o)  == User(o) \in Operators                       \* kind BLOCK: no payment, no end, no terms
Idle      == [st |-> "idle"]
NoRow     == [st |-> "NONE", all |-> {}, live |-> {}, by |-> 0]
Nothing   == [o \in Orders |-> {}]
Choices   == {ps \in SUBSET Places : ps # {} /\ Cardinality(ps) <= PlacesMax}
Standing  == {"PEND", "PAID", "GONE"}                    \* PAID: also PARTIALLY_REFUNDED, and a block; GONE: cancelled, refunded

Stands(o) == row[o].st \in Standing
Alive(o)  == row[o].st \in {"PEND", "PAID"}
RowOf(u)  == {o \in Orders : User(o) = u /\ Stands(o)}
LivePlaces == UNION {row[o].live : o \in Orders}

Open(s)    == srv[s].tok # 0 /\ srv[s].tok = srv[s].hdr  \* enter() in inventory.lua; else CLOSED
Current(s) == Open(s) /\ srv[s].hdr = fence.epoch        \* the generation that can commit
Locked(o)  == \E i \in Settlers : wk[i].st = "tx" /\ wk[i].o = o

\* A commit that can still make an order.  The others (row there, key used, old epoch, old terms)
\* only bring an answer, which Answer gives as well; so they need not be kept.
Useful(S, rows, f) == {c \in S :
  /\ rows[c.o].st = "NONE"
  /\ Fence => c.e = f.epoch
  /\ TermsChecked => (Block(c.o) \/ c.t = f.terms)
  /\ UniqueKey => \A o \in Orders : User(o) = User(c.o) => rows[o].st \notin Standing}

\* What is closed is never read again: its content is dropped at once.
Closed(x)  == [x EXCEPT !.h = Nothing, !.taken = {}, !.due = {}, !.known = {}, !.terms = 0, !.sale = "ON"]

Init ==
  /\ fence = [epoch |-> 1, terms |-> 1, sale |-> "ON"] /\ row = [o \in Orders |-> NoRow]
  /\ refund = {} /\ queue = {} /\ run = {} /\ sent = {} /\ evt = {}
  /\ over = IF Timed THEN {} ELSE Orders
  /\ \E first \in Servers :
       srv = [s \in Servers |-> LET e == IF s = first THEN 1 ELSE 0 IN
               [hdr |-> e, tok |-> e, stg |-> 0, terms |-> e, sale |-> "ON", h |-> Nothing, taken |-> {}, due |-> {},
                key |-> [u \in Users |-> None], known |-> {}]]
  /\ wk = [i \in Settlers |-> Idle] /\ bd = [i \in Builders |-> Idle]
  /\ ans = [u \in Users |-> {}] /\ faults = 0 /\ pauses = 0

----------------------------------------------------------------------------
(* The purchase.  A request handler has no state here: what it decided     *)
(* with hold() is a commit that arrives late, twice, or never (it died).   *)
(* A retry, on whatever instance, is one more hold().                      *)

\* A number that nothing remembers stands for a new one.
Unused(o) ==
  /\ row[o].st \in {"NONE", "TOMB"} /\ o \notin queue
  /\ \A s \in Servers : srv[s].h[o] = {} /\ o \notin srv[s].due
  /\ \A c \in sent \cup run : c.o # o
  /\ \A i \in Settlers : wk[i].st # "idle" => wk[i].o # o
  /\ \A i \in Builders : bd[i].st # "idle" => bd[i].snap[o] = {}
  /\ \A u \in Users : o \notin ans[u]
New(u) == LET F == {n \in 1..Numbers : Unused(<<u, n>>)}
          IN IF F = {} THEN {} ELSE {<<u, CHOOSE n \in F : \A m \in F : n <= m>>}

\* Server x after order o took the places ps.
Taking(x, o, ps) == [x EXCEPT !.h[o] = ps, !.taken = @ \cup ps, !.key[User(o)] = o, !.known = @ \cup {User(o)},
                              !.due = IF Intent THEN @ \cup {o} ELSE @]

\* t: the terms that the commit names; d: those that Redis decided on (one per generation).
Send(o, ps, x, t, rows) ==
  sent' = Useful(sent \cup {[o |-> o, p |-> ps, e |-> x.hdr, t |-> t, d |-> x.terms]}, rows, fence)
Tell(u, os) == ans' = IF Told THEN [ans EXCEPT ![u] = @ \cup os] ELSE ans
Early(u, o) == IF AnswerAfterCommit THEN UNCHANGED ans ELSE Tell(u, {o})

\* hold(): the decision of this key again, or a new one.  A sale needs a show on sale; a block does not.
Hold(u, s) ==
  LET x == srv[s]   k == x.key[u] IN
  /\ ans[u] = {} /\ Open(s)
  /\ IF k # None /\ x.h[k] # {}
     THEN /\ \E t \in IF RepeatTerms THEN {x.terms} ELSE x.terms..fence.terms : Send(k, x.h[k], x, t, row)
          /\ Early(u, k)
          /\ UNCHANGED <<srv, row, over>>
     ELSE \E o \in New(u), ps \in {q \in Choices : q \cap x.taken = {}} :
          /\ x.sale = "ON" \/ Block(o)
          /\ srv' = [t \in Servers |-> IF t = s THEN Taking(x, o, ps)
                                       ELSE [srv[t] EXCEPT !.key[u] = IF @ = o THEN None ELSE @]]
          /\ row' = [row EXCEPT ![o] = NoRow]
          /\ over' = IF Timed THEN over \ {o} ELSE over
          /\ Send(o, ps, x, x.terms, row') /\ Early(u, o)
  /\ UNCHANGED <<fence, refund, queue, run, evt, wk, bd, faults, pauses>>

\* Without "hold once": the answer was lost, and the same call comes again, perhaps much later.
HoldAgain(o, s) ==
  LET x == srv[s]   k == x.key[User(o)] IN
  /\ ~HoldOnce /\ ~Unused(o) /\ Open(s) /\ (x.sale = "ON" \/ Block(o))
  /\ IF k = None THEN TRUE ELSE x.h[k] = {}
  /\ \E ps \in {q \in Choices : q \cap x.taken = {}} :
       srv' = [srv EXCEPT ![s] = Taking(x, o, ps)] /\ Send(o, ps, x, x.terms, row)
  /\ UNCHANGED <<pg, run, evt, wk, bd, ans, faults, pauses>>

\* The answer is the stored row: found by its number, by its key (DUPLICATE), or, after a refusal, because the
\* user is known.  It reaches the user now, later, or never.
Answer(u) ==
  /\ Told /\ ans[u] = {} /\ RowOf(u) # {}
  /\ Lively => \E s \in Servers : Open(s) /\ (srv[s].taken # Places \/ u \in srv[s].known)
  /\ Tell(u, RowOf(u))
  /\ UNCHANGED <<pg, run, sent, evt, srv, wk, bd, faults, pauses>>

\* The handler died before it sent its commit (where crashes are not counted: it just never arrives).
Lose(c) ==
  /\ Lively /\ faults < FaultsMax /\ faults' = faults + 1
  /\ sent' = sent \ {c}
  /\ UNCHANGED <<pg, run, evt, srv, wk, bd, ans, pauses>>

\* commit_orders has read and locked the fence row, and this order passes.
CommitBegin(c) ==
  /\ c \in sent \ run
  /\ fence.sale = "ON" \/ Block(c.o) \/ ~PauseChecked
  /\ run' = run \cup {c}
  /\ UNCHANGED <<pg, sent, evt, srv, wk, bd, ans, faults, pauses>>

\* It inserts and commits; an insert waits for a tombstone in flight.
CommitEnd(c) ==
  LET clash == c.p \cap LivePlaces IN
  /\ c \in run /\ ~Locked(c.o)
  /\ run' = run \ {c}
  /\ IF /\ row[c.o].st = "NONE"
        /\ UniqueKey => RowOf(User(c.o)) = {}
        /\ clash = {} \/ ~UniquePlace \/ ~WholeOrder       \* else CONFLICT: the alarm
     THEN /\ row' = [row EXCEPT ![c.o] = [st   |-> IF Block(c.o) THEN "PAID" ELSE "PEND",
                                          all  |-> c.p,
                                          live |-> IF UniquePlace THEN c.p \ clash ELSE c.p,
                                          by   |-> 0]]
          /\ sent' = Useful(sent, row', fence)
     ELSE UNCHANGED <<row, sent>>
  /\ UNCHANGED <<fence, refund, queue, over, evt, srv, wk, bd, ans, faults, pauses>>

CommitAbort(c) ==
  /\ c \in run /\ run' = run \ {c}
  /\ Lively => faults < FaultsMax
  /\ faults' = IF Lively THEN faults + 1 ELSE faults
  /\ UNCHANGED <<pg, sent, evt, srv, wk, bd, ans, pauses>>

----------------------------------------------------------------------------
(* Payment, cancellation, refund                                           *)

\* A row of settle_queue, written in the transaction of the change; a row that was there is a new one.
Enqueue(o) ==
  /\ queue' = IF SettleQueue THEN queue \cup {o} ELSE queue
  /\ wk' = [i \in Settlers |-> IF wk[i].st # "idle" /\ wk[i].o = o THEN [wk[i] EXCEPT !.tag = FALSE] ELSE wk[i]]

\* payment.succeeded, delivered once or often (no inbox here): one UPDATE of the order's row decides.
Pay(o, k) ==
  /\ Stands(o) /\ ~Block(o) /\ ~Locked(o)
  /\ evt' = evt \cup {<<o, k>>}
  /\ IF row[o].st = "PEND"
     THEN /\ row' = [row EXCEPT ![o].st = "PAID", ![o].by = k]
          /\ Enqueue(o)
          /\ UNCHANGED refund
     ELSE /\ refund' = IF row[o].by = k \/ ~LateMoney THEN refund
                       ELSE refund \cup {<<o, k, p, 1>> : p \in row[o].all}
          /\ UNCHANGED <<row, queue, wk>>
  /\ UNCHANGED <<fence, over, run, sent, srv, bd, ans, faults, pauses>>

Cancel(o) ==
  /\ row[o].st = "PEND" /\ ~Locked(o)
  /\ row' = [row EXCEPT ![o].st = "GONE", ![o].live = {}]
  /\ Enqueue(o)
  /\ UNCHANGED <<fence, refund, over, run, sent, evt, srv, bd, ans, faults, pauses>>

\* The whole of a paid order, or one ticket of it; of a block: unblocked, without money.
Refund(o, ps) ==
  LET left == row[o].live \ ps
      again(p) == <<o, row[o].by, p, 1>> \in refund IN
  /\ row[o].st = "PAID" /\ ~Locked(o)
  /\ ps \subseteq row[o].all /\ (RefundLive => ps \subseteq row[o].live)
  /\ row' = [row EXCEPT ![o].live = left, ![o].st = IF left = {} THEN "GONE" ELSE "PAID"]
  /\ refund' = IF Block(o) THEN refund
               ELSE refund \cup {<<o, row[o].by, p, IF again(p) THEN 2 ELSE 1>> : p \in ps}
  /\ Enqueue(o)
  /\ UNCHANGED <<fence, over, run, sent, evt, srv, bd, ans, faults, pauses>>

GiveBack(o) == Refund(o, row[o].live) \/ (Partly /\ \E p \in row[o].all : Refund(o, {p}))

\* PostgreSQL's clock passes the release.
TimePasses(o) ==
  /\ Timed /\ row[o].st = "PEND" /\ o \notin over
  /\ over' = over \cup {o}
  /\ UNCHANGED <<fence, row, refund, queue, run, sent, evt, srv, wk, bd, ans, faults, pauses>>

----------------------------------------------------------------------------
(* Settle.  Claims, stream, safety net and handlers may be late, doubled   *)
(* or lost: any order that was ever decided may be settled at any time.    *)

Decided(o) == \/ row[o].st \notin {"NONE", "TOMB"}
              \/ \E s \in Servers : srv[s].h[o] # {}
              \/ \E c \in sent \cup run : c.o = o

\* settle_read, and settle_orders where there is something to write: epoch, state and live places of one snapshot.
SettleRead(i, o, src, s) ==
  LET now == row[o].st
      ends == CASE now = "NONE" /\ Tombstone -> {"TOMB"}
                [] now = "PEND" -> {"PEND"} \cup (IF o \in over \/ ~SaleTime THEN {"GONE"} ELSE {})
                [] OTHER -> {now} IN
  /\ wk[i].st = "idle" /\ Decided(o)
  /\ src = "queue" => o \in queue
  /\ Lively => /\ src = "due" => o \in srv[s].due /\ Open(s)
               /\ now = "NONE" => \A c \in sent \cup run : c.o # o
  /\ \E to \in ends :
       LET end == [row[o] EXCEPT !.st = to, !.live = IF to \in {"PEND", "PAID"} THEN @ ELSE {}]
           w == [o |-> o, er |-> fence.epoch, to |-> to, live |-> end.live, src |-> src, tag |-> src = "queue",
                 was |-> IF OwnRecord THEN {} ELSE srv[s].h[o]] IN
       /\ to # now => ~Locked(o)
       /\ IF Slow /\ to # now
          THEN /\ wk' = [wk EXCEPT ![i] = [st |-> "tx"] @@ w]
               /\ UNCHANGED <<row, sent>>
          ELSE /\ wk' = [wk EXCEPT ![i] = [st |-> "read"] @@ w]
               /\ row' = [row EXCEPT ![o] = end]
               /\ sent' = Useful(sent, row', fence)
  /\ srv' = IF Lease \/ src # "due" THEN srv ELSE [srv EXCEPT ![s].due = @ \ {o}]
  /\ UNCHANGED <<fence, refund, queue, over, run, evt, bd, ans, faults, pauses>>

SettleCommit(i) ==
  LET w == wk[i] IN
  /\ w.st = "tx"
  /\ wk' = [wk EXCEPT ![i].st = "read"]
  /\ row' = [row EXCEPT ![w.o] = [@ EXCEPT !.st = w.to, !.live = {}]]
  /\ sent' = Useful(sent, row', fence)
  /\ UNCHANGED <<fence, refund, queue, over, run, evt, srv, bd, ans, faults, pauses>>

\* settle_one() in inventory.lua: server x after it heard w.
Settled(x, w) ==
  LET mine  == x.h[w.o]
      kept  == CASE ~ShrinkOnly -> w.live
                 [] ~LiveList /\ w.live # mine -> {}
                 [] OTHER -> mine \cap w.live
      freed == IF OwnRecord THEN mine \ kept ELSE w.was \ w.live
  IN [x EXCEPT !.h[w.o] = kept,
               !.taken = (@ \ freed) \cup kept,
               !.due = IF kept # {} /\ w.to = "PEND" THEN @ \cup {w.o} ELSE @ \ {w.o}]

\* The word to Redis, any time after the read; then the row of settle_queue goes.
SettleTell(i, s) ==
  LET w == wk[i] IN
  /\ w.st = "read"
  /\ wk' = [wk EXCEPT ![i] = Idle]
  /\ IF ~Open(s) \/ (EpochRead /\ srv[s].hdr < w.er)
     THEN UNCHANGED <<srv, queue>>                          \* CLOSED, STALE: it comes again
     ELSE /\ srv' = [srv EXCEPT ![s] = Settled(@, w)]
          /\ queue' = IF w.src = "queue" /\ (w.tag \/ ~QueueTag) THEN queue \ {w.o} ELSE queue
  /\ UNCHANGED <<fence, row, refund, over, run, sent, evt, bd, ans, faults, pauses>>

SettlerDies(i) ==
  /\ wk[i].st # "idle" /\ wk' = [wk EXCEPT ![i] = Idle]     \* an open transaction rolls back
  /\ Lively => faults < FaultsMax
  /\ faults' = IF Lively THEN faults + 1 ELSE faults
  /\ UNCHANGED <<pg, run, sent, evt, srv, bd, ans, pauses>>

----------------------------------------------------------------------------
(* The fence row changes: raise, pause, terms.  An UPDATE waits for the    *)
(* share locks of running commits.                                         *)

Waits == ShareLock => run = {}
Change(f) == Waits /\ fence' = f /\ sent' = Useful(sent, row, f)

Snapshot == [snap |-> [o \in Orders |-> row[o].live],
             dues |-> {o \in Orders : row[o].st = "PEND" /\ (LateDues \/ o \notin over)},
             users |-> IF KnownUsers THEN {u \in Users : RowOf(u) # {}} ELSE {}]
NoSnap   == [snap |-> Nothing, dues |-> {}, users |-> {}]
Seen(b)  == [snap |-> b.snap, dues |-> b.dues, users |-> b.users]

\* Pause or resume: first the fence, then Redis (change_sale_state).
Pause(i) ==
  LET x == IF fence.sale = "ON" THEN "OFF" ELSE "ON" IN
  /\ bd[i].st = "idle" /\ pauses < PausesMax /\ pauses' = pauses + 1
  /\ Change([fence EXCEPT !.sale = x])
  /\ bd' = [bd EXCEPT ![i] = [st |-> "tell", e |-> 0, t |-> 0, sale |-> x] @@ NoSnap]
  /\ UNCHANGED <<row, refund, queue, over, run, evt, srv, wk, ans, faults>>

\* New terms; Redis follows by a rebuild.
NewTerms ==
  /\ fence.terms < TermsMax
  /\ Change([fence EXCEPT !.terms = @ + 1])
  /\ UNCHANGED <<row, refund, queue, over, run, evt, srv, wk, bd, ans, faults, pauses>>

\* When a rebuild begins.  For safety: at any time (alarm, new connection, a late answer).  For liveness: when
\* an answer asks for one and nobody else is at it; one that nobody needed counts as a fault.
Asked == /\ \A j \in Builders : bd[j].st = "idle"
         /\ \E s \in Servers : \/ IF EpochAsks THEN ~Current(s) ELSE ~Open(s)
                               \/ TermsAsk /\ Open(s) /\ srv[s].terms # fence.terms

PreRead(i) ==                                               \* only without "read after raise"
  /\ ~ReadAfterRaise /\ bd[i].st = "idle"
  /\ bd' = [bd EXCEPT ![i] = [st |-> "pre", e |-> 0, t |-> 0, sale |-> "ON"] @@ Snapshot]
  /\ UNCHANGED <<pg, run, sent, evt, srv, wk, ans, faults, pauses>>

Raise(i, needless) ==
  LET e == fence.epoch + 1 IN
  /\ bd[i].st = (IF ReadAfterRaise THEN "idle" ELSE "pre") /\ e <= EpochMax
  /\ IF Lively /\ needless THEN faults < FaultsMax /\ faults' = faults + 1
     ELSE (Lively => Asked) /\ UNCHANGED faults
  /\ Change([fence EXCEPT !.epoch = e])
  /\ bd' = [bd EXCEPT ![i] = [st |-> "raised", e |-> e, t |-> fence.terms, sale |-> fence.sale] @@
                             (IF ReadAfterRaise THEN NoSnap ELSE Seen(bd[i]))]
  /\ UNCHANGED <<row, refund, queue, over, run, evt, srv, wk, ans, pauses>>

Begin(i, s) ==
  LET e == bd[i].e IN
  /\ bd[i].st \in (IF BeginOnce THEN {"raised"} ELSE {"raised", "opened"})
  /\ IF e > srv[s].hdr /\ e > srv[s].tok /\ e > srv[s].stg
     THEN /\ srv' = [srv EXCEPT ![s] = [Closed(@) EXCEPT !.tok = 0, !.stg = e]]
          /\ bd' = [bd EXCEPT ![i].st = IF @ = "raised" THEN "begun" ELSE "read"]
     ELSE bd' = [bd EXCEPT ![i] = Idle] /\ UNCHANGED srv    \* STALE: from the raise
  /\ UNCHANGED <<pg, run, sent, evt, wk, ans, faults, pauses>>

Read(i) ==
  /\ bd[i].st = "begun"
  /\ bd' = [bd EXCEPT ![i] = IF ReadAfterRaise THEN Snapshot @@ [@ EXCEPT !.st = "read"] ELSE [@ EXCEPT !.st = "read"]]
  /\ UNCHANGED <<pg, run, sent, evt, srv, wk, ans, faults, pauses>>

\* load and open as one step: what comes between can only make open refuse.  Where a rule about it is left out, the
\* reply may be lost and the call sent again ("opened"); by then what was staged is gone.
OpenShow(i, s) ==
  LET b == bd[i]
      resent == b.st = "opened" IN
  /\ b.st \in {"read", "opened"}
  /\ IF srv[s].stg = b.e /\ (resent /\ BeginOnce => b.snap = Nothing)
     THEN /\ srv' = [srv EXCEPT ![s] = [@ EXCEPT
                       !.hdr = b.e, !.tok = b.e, !.stg = IF OpenOnce THEN 0 ELSE @, !.terms = b.t, !.sale = b.sale,
                       !.h = b.snap, !.taken = UNION {b.snap[o] : o \in Orders}, !.due = b.dues, !.known = b.users]]
          /\ bd' = [bd EXCEPT ![i] = IF ~OpenOnce \/ ~BeginOnce THEN [b EXCEPT !.st = "opened"]
                                     ELSE IF CompareAfterOpen THEN NoSnap @@ [b EXCEPT !.st = "look", !.e = 0]
                                     ELSE Idle]
     ELSE bd' = [bd EXCEPT ![i] = Idle] /\ UNCHANGED srv
  /\ UNCHANGED <<pg, run, sent, evt, wk, ans, faults, pauses>>

\* fence_follow: tell Redis, then read the fence again; a rebuild begins with the second.
TellState(i, s) ==
  /\ bd[i].st = "tell"
  /\ IF Open(s)
     THEN /\ srv' = [srv EXCEPT ![s].sale = bd[i].sale]
          /\ bd' = [bd EXCEPT ![i] = IF ReadAgain THEN [@ EXCEPT !.st = "look"] ELSE Idle]
     ELSE bd' = [bd EXCEPT ![i] = Idle] /\ UNCHANGED srv    \* CLOSED: the rebuild that opens it looks
  /\ UNCHANGED <<pg, run, sent, evt, wk, ans, faults, pauses>>

Look(i) ==
  LET b == bd[i] IN
  /\ b.st = "look"
  /\ bd' = [bd EXCEPT ![i] = IF (b.t # 0 /\ b.t # fence.terms) \/ b.sale = fence.sale THEN Idle
                             ELSE [b EXCEPT !.st = "tell", !.t = 0, !.sale = fence.sale]]
  /\ UNCHANGED <<pg, run, sent, evt, srv, wk, ans, faults, pauses>>

\* A caller who dies while he follows is not modelled (README, "What the model does not say").
BuilderDies(i) ==
  /\ bd[i].st \notin {"idle", "tell", "look"} /\ bd' = [bd EXCEPT ![i] = Idle]
  /\ Lively => faults < FaultsMax
  /\ faults' = IF Lively THEN faults + 1 ELSE faults
  /\ UNCHANGED <<pg, run, sent, evt, srv, wk, ans, pauses>>

----------------------------------------------------------------------------
(* Faults of Redis                                                         *)

\* Restart, fail-over, resync, reload, lost keys: the token is gone, the data kept, shortened, or gone.
Restart(s) ==
  /\ faults < FaultsMax /\ srv[s].hdr # 0 /\ faults' = faults + 1
  /\ IF Token
     THEN \E e \in {0, srv[s].hdr}, key \in {srv[s].key, [u \in Users |-> None]} :
            srv' = [srv EXCEPT ![s] = [Closed(@) EXCEPT !.tok = 0, !.stg = 0, !.hdr = e, !.key = key]]
     ELSE \E lost \in SUBSET {o \in Orders : srv[s].h[o] # {}} :           \* a tail is gone, and nobody notices
            srv' = [srv EXCEPT ![s] = [@ EXCEPT
                      !.stg = 0, !.h = [o \in Orders |-> IF o \in lost THEN {} ELSE @[o]],
                      !.taken = @ \ UNION {srv[s].h[o] : o \in lost}, !.due = @ \ lost,
                      !.key = [u \in Users |-> IF @[u] \in lost THEN None ELSE @[u]]]]
  /\ UNCHANGED <<pg, run, sent, evt, wk, bd, ans, pauses>>

\* A place counts as free although an order has it.
Forget(s, p) ==
  /\ Wrong /\ faults < FaultsMax /\ faults' = faults + 1
  /\ Open(s) /\ p \in srv[s].taken
  /\ srv' = [srv EXCEPT ![s].taken = @ \ {p}]
  /\ UNCHANGED <<pg, run, sent, evt, wk, bd, ans, pauses>>

----------------------------------------------------------------------------
Next ==
  \/ \E u \in Users : Answer(u) \/ \E s \in Servers : Hold(u, s)
  \/ \E o \in Orders, s \in Servers : HoldAgain(o, s)
  \/ \E c \in sent : CommitBegin(c) \/ Lose(c)
  \/ \E c \in run : CommitEnd(c) \/ CommitAbort(c)
  \/ \E o \in Orders : Cancel(o) \/ GiveBack(o) \/ TimePasses(o) \/ \E k \in 1..Payments : Pay(o, k)
  \/ \E i \in Settlers : \/ \E o \in Orders, src \in {"due", "queue"}, s \in Servers : SettleRead(i, o, src, s)
                         \/ SettleCommit(i) \/ SettlerDies(i) \/ \E s \in Servers : SettleTell(i, s)
  \/ NewTerms
  \/ \E i \in Builders : \/ Pause(i) \/ PreRead(i) \/ Raise(i, FALSE) \/ (Lively /\ Raise(i, TRUE)) \/ Read(i) \/ Look(i)
                         \/ BuilderDies(i) \/ \E s \in Servers : Begin(i, s) \/ OpenShow(i, s) \/ TellState(i, s)
  \/ \E s \in Servers : Restart(s) \/ \E p \in Places : Forget(s, p)

Spec == Init /\ [][Next]_vars
=============================================================================
