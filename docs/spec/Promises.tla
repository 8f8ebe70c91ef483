------------------------------ MODULE Promises ------------------------------
(***************************************************************************)
(* What the sale of a show promises; every configuration checks some of    *)
(* this against TicketSale.tla.                                            *)
(***************************************************************************)
EXTENDS TicketSale

\* ---- to the buyer

\* A place is in at most one live ticket.
OneLive == \A a, b \in Orders : a # b => row[a].live \cap row[b].live = {}

\* An order that was answered exists ...
Answered == \A u \in Users : \A o \in ans[u] : Stands(o)

\* ... and stays, with its places; no ticket comes to life again, and what is cancelled or refunded stays so.
RowsStay == [][\A o \in Orders : Stands(o) =>
                 /\ row'[o].st \in Standing /\ row'[o].all = row[o].all
                 /\ row'[o].live \subseteq row[o].live
                 /\ row[o].st = "GONE" => row'[o].st = "GONE"]_vars

\* A key makes one order.
OneOrder == \A u \in Users : Cardinality(RowOf(u)) <= 1 /\ Cardinality(ans[u]) <= 1

\* An order has all its places or does not exist.
AllOrNothing == \A o \in Orders : row[o].st = "PEND" => row[o].live = row[o].all

\* Ticket by ticket, the money of a payment is in a live ticket or goes back, never both, and never twice.
Money == /\ \A x \in evt : \A p \in row[x[1]].all :
              LET o == x[1]   k == x[2]
              IN (row[o].st = "PAID" /\ row[o].by = k /\ p \in row[o].live) # (<<o, k, p, 1>> \in refund)
         /\ \A y \in refund : y[4] = 1 /\ <<y[1], y[2]>> \in evt

\* A sale commits only while the show is on sale, on the terms under which Redis decided, which are the fence's.
SoldAsTold == [][\A c \in run : (~Stands(c.o) /\ row'[c.o].st \in Standing) =>
                   Block(c.o) \/ (fence.sale = "ON" /\ c.d = fence.terms /\ c.t = fence.terms)]_vars

\* Nobody but the buyer or an operator (who leave a row in settle_queue) ends a hold before its release.
KeptTillRelease == [][\A o \in Orders : (row[o].st = "PEND" /\ row'[o].st = "GONE" /\ o \notin queue') => o \in over]_vars

\* ---- of Redis

\* What is sold or unpaid is taken in the open inventory of the fence's epoch.
Superset == \A s \in Servers : Current(s) => LivePlaces \subseteq srv[s].taken

\* A live order keeps its record, and so does a hold whose commit can still land.
HoldKept == \A s \in Servers : Current(s) =>
  /\ \A o \in Orders : row[o].live \subseteq srv[s].h[o]
  /\ Fence => \A c \in Useful(sent \cup run, row, fence) : srv[s].h[c.o] = c.p

\* No place is in two records.
OneRecord == \A s \in Servers : Open(s) =>
  \A a, b \in Orders : a # b => srv[s].h[a] \cap srv[s].h[b] = {}

\* At most one server can commit.
OneCurrent == Cardinality({s \in Servers : Current(s)}) <= 1

\* No place is lost: what is taken has a record; what a record lists is live in a paid order or a block, or it
\* comes due, or it is in settle_queue.
NoLeak == \A s \in Servers : Current(s) =>
  /\ srv[s].taken = UNION {srv[s].h[o] : o \in Orders}
  /\ \A o \in Orders : srv[s].h[o] # {} =>
       (row[o].st = "PAID" /\ srv[s].h[o] = row[o].live) \/ o \in srv[s].due \/ o \in queue

\* Who has an order is known, so that a refusal is not believed before PostgreSQL was asked.
Known == \A s \in Servers : Current(s) => \A u \in Users : RowOf(u) # {} => u \in srv[s].known

\* Redis has the fence's sale state, or somebody is about to look; with one server.
Followed == \A s \in Servers : (Current(s) /\ srv[s].terms = fence.terms /\ srv[s].sale # fence.sale) =>
  \E i \in Builders : bd[i].st \in {"tell", "look"}

\* ---- in the end: faults are bounded, threads run

Fair ==
  /\ \A u \in Users : WF_vars(Answer(u)) /\ WF_vars(\E s \in Servers : Hold(u, s))
  /\ WF_vars(\E c \in sent : CommitBegin(c)) /\ WF_vars(\E c \in run : CommitEnd(c))
  /\ \A i \in Settlers : WF_vars(SettleCommit(i)) /\ WF_vars(\E s \in Servers : SettleTell(i, s))
  /\ \A i \in Builders : /\ WF_vars(Raise(i, FALSE)) /\ WF_vars(Read(i)) /\ WF_vars(Look(i))
                         /\ WF_vars(\E s \in Servers : Begin(i, s)) /\ WF_vars(\E s \in Servers : OpenShow(i, s))
                         /\ WF_vars(\E s \in Servers : TellState(i, s))
  /\ \A o \in Orders : SF_vars(\E i \in Settlers, src \in {"due", "queue"}, s \in Servers : SettleRead(i, o, src, s))
FairSpec == Spec /\ Fair

\* Every buyer is answered.
EveryoneAnswered == \A u \in Buyers : <>(ans[u] # {})

\* A place that no live ticket has becomes free.
NothingStuck == \A s \in Servers, o \in Orders :
  (Current(s) /\ row[o].st \in {"TOMB", "GONE", "PAID"} /\ ~(srv[s].h[o] \subseteq row[o].live))
    ~> (~Current(s) \/ srv[s].h[o] \subseteq row[o].live)

Sym == Permutations(Buyers) \cup Permutations(Operators) \cup Permutations(Places) \cup Permutations(Settlers)
       \cup Permutations(Builders) \cup Permutations(Servers)
=============================================================================
