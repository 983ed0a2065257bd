/*
 * The refresh protocol of one grant, as layers/common/grantkeeper/services does it, step by step. README.md beside
 * this file says what is left out and why that is sound.
 *
 *   Invocation    one worker or token call after another, each a run of refresh() or, on a tombstone, revoke_upstream()
 *   Rescue        the consumer of the rescue queue
 *   Clock         what time does: leases run out, horizons pass, strikes grow old, grants fall due
 *   User          disconnects here, revokes at the provider, connects again; each at most once
 *
 * One `atomic` is one call to DynamoDB, SQS or the provider, with what the process computes of it. Between two of them
 * anything may happen. Every fault (a death, a lost answer, a refused write) is paid from one budget.
 */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef FAULTS
#define FAULTS 2    /* deaths, lost answers, refused writes, outages, duplicates: all together */
#endif
#ifndef LAST
#define LAST 1      /* the last generation that falls due */
#endif
#ifndef REACH
#define REACH 0     /* -DREACH=ORPHAN_FOUND makes that state an error, so that its trail can be read */
#endif

/* States that must be reached, or the run proves little. `assert(n != REACH)` never fails while REACH is 0. */
#define ORPHAN_FOUND 1
#define ORPHAN_TAKEN 2
#define ORPHAN_RESOLVED 3
#define ORPHAN_PUT_BACK 4
#define ANSWER_LOST 5
#define ANSWER_REPEATED 6
#define PARKED 7
#define PARKED_SAVED 8
#define PARKED_KEPT 9
#define LOSS_TOLD 10
#define OWN_WRITE_KNOWN 11
#define LOST_RACE 12
#define LATE_KEPT 13
#define STRIKE_ONE 14
#define STRIKE_TWO_THEIRS 15
#define STRIKE_TWO_OURS 16
#define DEAD_BUT_MOVED 17
#define REVOKED_UPSTREAM 18
#define LATE_REVOKED 19
#define ERASED 20
#define RECONNECTED_UNDER_CALL 21
#define DECLARED_BUT_SAVED 22
#define DIED_WITH_ANSWER 23
#define DIED_IN_CALL 24
#define PARKED_MOVED 25
#define SEEN(n) assert(n != REACH)

#define ACTIVE 0
#define NEEDS_REAUTH 1
#define REVOKED 2

/* Provider profiles. A run is of all of them, or of the one that -DPROFILE names. */
#define STRICT 0    /* a spent token is refused */
#define FAMILY 1    /* ... and its use revokes the whole family */
#define GRACE 2     /* the previous token gets the same successor again, for longer than lease + sweep + queue */
#define SHORT 3     /* ... for a time too short to count on: treated as strict */
#define LASTING 4   /* nothing rotates */

#define OK 0
#define DEAD 1
#define TROUBLE 2   /* known not to have been obeyed: never sent, or 429 */
#define UNKNOWN 3

/* The grant item. A token is a consent (family) and a number within it. */
byte g_gen = 1, g_status = ACTIVE, g_family = 0, g_seq = 0, g_write = 0, g_strikes = 0;
bool g_sealed = true, g_due = true;

/* The lease item: no item while l_gen is 0. l_taken: how many strikes there had been when it was taken; l_again:
   attempt > 1, it took over from an orphan. */
byte l_gen = 0, l_write = 0, l_owner = 0, l_taken = 0;
bool l_intent = false, l_seen = false, l_again = false;

/* What the clock says, abstracted: until < now; seen_at + RESCUE_HORIZON <= now; strike_at + 40 s <= now. */
bool l_expired = false, l_horizon = false, strike_old = false;

/* The rescue queue: a successor whole, sealed. */
#define SLOTS 2
byte q_gen[SLOTS], q_family[SLOTS], q_seq[SLOTS], q_write[SLOTS];    /* q_gen 0: free */

/* The provider. */
byte profile = STRICT;
byte p_seq[2];      /* the newest refresh token of a family */
bool p_dead[2];

/* Living processes: the lease each run holds, and the answer it has in hand (number + 1). */
byte holds[WORKERS], hand[WORKERS], hand_family[WORKERS], hand_gen[WORKERS];

byte faults = 0, writes = 0, strike_no = 0;

/* Only for the invariants. */
byte in_flight[2];  /* the lease under which a call may still reach the provider */
byte lost[2];       /* the token (number + 1) that was lost in the excused instant */
bool user_did[2];   /* the user revoked at the provider */
bool was_late = false;
byte dead_gen = 0;  /* the generation whose token got a dead answer ... */
bool dead_old = false;   /* ... 30 s ago or more */

/* Each invariant is a bit, so that pan names the one that fell. */
bool I1_one_call_in_flight = true;
bool I2_no_answer_lost = true;
bool I2_no_spent_token_again = true;
bool I3_generation_is_fenced = true;
bool I5_revoked_is_final = true;
bool I5_told_before_erased = true;
bool I7_two_dead_answers = true;
bool I7_no_other_lease = true;
bool I7_the_grant_is_dead = true;
bool I7_reason_is_true = true;

#define FAULT (faults < FAULTS)
#define usable (g_status == ACTIVE)
#ifdef NO_SPACING
#define too_soon false
#else
#define too_soon (g_strikes && !strike_old)     /* lease_policy.until_next_strike */
#endif
#define strict_rule (profile == STRICT || profile == FAMILY || profile == SHORT)    /* lease_policy.is_strict */
#define may_spend_twice (profile == GRACE || profile == LASTING)                    /* lease_policy.may_spend_twice */
#define parked (q_gen[0] != 0 || q_gen[1] != 0)
#define settled ((g_status == ACTIVE && !g_due) || g_status == NEEDS_REAUTH || (g_status == REVOKED && !g_sealed))

#define newest(f, number) ((f) == g_family && (number) == p_seq[g_family] + 1)
#define in_store (g_sealed && g_seq == p_seq[g_family])
#define in_queue ((q_gen[0] && newest(q_family[0], q_seq[0] + 1)) || (q_gen[1] && newest(q_family[1], q_seq[1] + 1)))
#if WORKERS == 2
#define in_hand (newest(hand_family[0], hand[0]) || newest(hand_family[1], hand[1]))
#elif WORKERS == 3
#define in_hand (newest(hand_family[0], hand[0]) || newest(hand_family[1], hand[1]) || newest(hand_family[2], hand[2]))
#else
#define in_hand (newest(hand_family[0], hand[0]) || newest(hand_family[1], hand[1]) || \
                 newest(hand_family[2], hand[2]) || newest(hand_family[3], hand[3]))
#endif
#define somewhere (in_store || in_queue || in_hand || p_dead[g_family])

/* Invariant 2: what the provider answered last is somewhere, or fell into the excused instant. */
inline check() {
    I2_no_answer_lost = somewhere || lost[g_family] == p_seq[g_family] + 1;
    assert(I2_no_answer_lost)
}

/* --- writes to the grant item; who calls them has tested the condition, or is a mutant --- */

inline put_grant(gen, family, seq, write, status) {
    I3_generation_is_fenced = gen == g_gen + 1 && family == g_family;
    assert(I3_generation_is_fenced);
    I5_revoked_is_final = g_status != REVOKED || status == REVOKED;
    assert(I5_revoked_is_final);
    g_gen = gen; g_family = family; g_seq = seq; g_write = write; g_status = status;
    g_sealed = true; g_due = false; g_strikes = 0; strike_old = false; dead_gen = 0; dead_old = false
}

/* Conditions of stores/grants.py: save, keep_for_revocation. */
#ifdef NOFENCE
#define generation_stands(gen) true
#else
#define generation_stands(gen) (g_gen == (gen) - 1)
#endif
#ifdef REVIVE_REVOKED
#define not_revoked true
#else
#define not_revoked (g_status != REVOKED)
#endif
#ifdef FENCE_ON_LEASE
#define lease_stands(write) (l_write == (write))
#else
#define lease_stands(write) true
#endif
#define can_save(gen, write) (generation_stands(gen) && not_revoked && lease_stands(write))
#define can_keep(gen) (g_gen == (gen) - 1 && g_status == REVOKED)

/* --- the provider --- */

/* spend_token.spending: refresh token (f, s) arrives. Leaves `answer` and, when it is OK, `number` (+ 1). */
inline provider(f, s) {
    if
    :: p_dead[f] -> answer = DEAD
    :: !p_dead[f] && profile == LASTING -> answer = OK; number = s + 1
    :: !p_dead[f] && profile != LASTING && s == p_seq[f] -> p_seq[f] = p_seq[f] + 1; answer = OK; number = p_seq[f] + 1
    :: !p_dead[f] && profile == GRACE && s + 1 == p_seq[f] -> answer = OK; number = p_seq[f] + 1;
        SEEN(ANSWER_REPEATED)
    :: !p_dead[f] && profile != LASTING && s != p_seq[f] && !(profile == GRACE && s + 1 == p_seq[f]) ->
        /* Invariant 2 at a strict provider: a spent token is worth a try only when its successor is lost. */
        I2_no_spent_token_again = lost[f] == p_seq[f] + 1;
        assert(I2_no_spent_token_again);
        if
        :: profile == FAMILY -> p_dead[f] = true; answer = DEAD
        :: profile == SHORT && s + 1 == p_seq[f] -> answer = OK; number = p_seq[f] + 1
        :: profile != FAMILY -> answer = DEAD
        fi
    fi
}

/* --- one invocation after another --- */

/* The end of a run: also what a death leaves of it, which is nothing. */
inline forget() {
    holds[me] = 0; hand[me] = 0; hand_family[me] = 0; hand_gen[me] = 0;
    r_gen = 0; r_family = 0; r_seq = 0; r_write = 0; r_struck = 0; c_struck = false;
    o_gen = 0; o_write = 0; o_taken = 0; o_seen = false; o_horizon = false; o_again = false; orphan = false;
    uncertain = false; answer = OK; number = 0; told = false; second = false
}

/* The excused instant, and what is told as a loss: the answer in hand goes, and is nowhere else. */
inline excuse() {
    hand[me] = 0;
    if
    :: !somewhere -> lost[g_family] = p_seq[g_family] + 1
    :: else
    fi
}

/* take_lease.let_go: our lease goes back; an orphan's place is left as it was found. */
inline let_go() {
    if
    :: l_write == holds[me] && !orphan -> l_intent = false
    :: l_write == holds[me] && orphan ->
#ifdef FORGET_ORPHAN
        l_intent = false
#else
        writes++; l_write = writes; l_taken = o_taken; l_seen = o_seen; l_horizon = o_horizon;
        l_again = o_again; l_expired = true;
        SEEN(ORPHAN_PUT_BACK)
#endif
    :: else
    fi
}

inline new_lease() {
    writes++; holds[me] = writes;
    l_gen = r_gen; l_write = writes; l_owner = me; l_taken = strike_no;
    l_intent = true; l_seen = false; l_again = orphan; l_expired = false; l_horizon = false
}

proctype Invocation(byte me) {
    byte r_gen, r_family, r_seq, r_write, r_struck;     /* the grant as read; r_struck: its strike's number, or 0 */
    byte o_gen, o_write, o_taken;                       /* the lease that stood in our way */
    bool o_seen, o_horizon, o_again, orphan, c_struck, uncertain, told, second;
    byte answer, number;

begin:
    /* work._refresh_one, refresh(): a consistent read; fresh enough, or refused too recently (refuse_early) -> done */
    atomic {
        (usable && g_due && !too_soon) || (g_status == REVOKED && g_sealed);
        r_gen = g_gen; r_family = g_family; r_seq = g_seq; r_write = g_write;
        r_struck = (g_strikes -> strike_no : 0); told = g_status == REVOKED
    }

    /* take_lease.take_lease -> stores/grants.take_lease: no item, an older generation, or no intent */
take:
    atomic {
#ifdef NOLEASE
        new_lease(); goto held;
#endif
        if
        :: l_gen < r_gen || (l_gen == r_gen && !l_intent) -> new_lease(); goto held
        :: l_gen > r_gen -> forget(); goto begin                                                     /* Overtaken */
        :: l_gen == r_gen && l_intent ->
            /* lease_policy.standing, of what the failed condition showed */
            if
            :: !l_expired -> forget(); goto begin                                                    /* Wait */
            :: l_expired && (may_spend_twice || r_struck > l_taken) -> skip                          /* TakeOver */
#ifdef NO_HORIZON
            :: l_expired && strict_rule -> skip
#else
            :: l_expired && strict_rule && !(r_struck > l_taken) && l_seen && l_horizon -> skip      /* TakeOver */
            :: l_expired && strict_rule && !(r_struck > l_taken) && l_seen && !l_horizon -> forget(); goto begin
            :: l_expired && strict_rule && !(r_struck > l_taken) && !l_seen ->
                o_write = l_write; goto found
#endif
            fi;
            o_write = l_write; o_taken = l_taken; o_seen = l_seen; o_horizon = l_horizon; o_again = l_again
        :: FAULT -> faults++; forget(); goto begin              /* StoreUnavailable: nobody refreshes without a lease */
        fi
    }
    /* stores/grants.take_over: of any number who saw it die, one does */
    atomic {
        if
        :: l_write == o_write -> orphan = true; new_lease(); SEEN(ORPHAN_TAKEN)
        :: l_write != o_write -> o_write = 0; o_taken = 0; o_seen = false; o_horizon = false; o_again = false;
            goto take
        fi
    }
    goto held;

    /* Found: note when, then wait for the rescue queue */
found:
    atomic {
        if
        :: l_write == o_write -> writes++; l_write = writes; l_seen = true; l_horizon = false; SEEN(ORPHAN_FOUND)
        :: l_write != o_write
        :: FAULT -> faults++
        fi;
        forget(); goto begin
    }

    /* refresh._under_lease: read again, consistently; revoke_upstream._target does the same */
held:
    atomic {
        if
        :: FAULT -> faults++; goto dies
        :: g_gen == r_gen && told && g_status == REVOKED && g_sealed -> r_write = g_write; goto tell
#ifdef NO_REREAD
        :: !told -> skip
#else
        :: g_gen == r_gen && !told && usable && !too_soon ->
            c_struck = g_strikes; r_struck = (g_strikes -> strike_no : 0)
        :: else -> goto give_back
#endif
        fi
    }

    /* spend_token.ask_provider: the request leaves */
ask:
    atomic {
        I1_one_call_in_flight = in_flight[r_family] == 0 || in_flight[r_family] == holds[me];
        assert(I1_one_call_in_flight);
        in_flight[r_family] = holds[me]
    }
    atomic {
        if
        :: provider(r_family, r_seq)
        :: FAULT -> faults++; answer = TROUBLE
        :: FAULT -> faults++; answer = UNKNOWN                                          /* the request was lost */
        :: FAULT -> faults++; provider(r_family, r_seq);                                /* the answer was lost */
            if
            :: answer == OK && (r_family != g_family || !somewhere) -> lost[r_family] = number; SEEN(ANSWER_LOST)
            :: else
            fi;
            answer = UNKNOWN
        :: FAULT -> faults++; goto dies                                                 /* killed, nothing obeyed */
        :: FAULT -> faults++; provider(r_family, r_seq);                                /* killed, obeyed */
            if
            :: answer == OK && (r_family != g_family || !somewhere) -> lost[r_family] = number; SEEN(DIED_IN_CALL)
            :: else
            fi;
            goto dies
        fi;
        if
        :: answer == OK ->
            hand[me] = number; hand_family[me] = r_family; hand_gen[me] = r_gen + 1; in_flight[r_family] = 0;
            if
            :: lost[r_family] == number -> lost[r_family] = 0
            :: else
            fi;
            if
            :: g_family != r_family -> SEEN(RECONNECTED_UNDER_CALL)
            :: else
            fi;
            number = 0; check(); goto save
        :: answer == DEAD ->
            in_flight[r_family] = 0;
            if
            :: g_gen == r_gen && dead_gen != r_gen -> dead_gen = r_gen; dead_old = false
            :: else
            fi;
            check(); goto refused
        :: answer == TROUBLE ->
            if
            :: !uncertain -> in_flight[r_family] = 0; goto trouble
            :: uncertain -> goto unknown
            fi
        :: answer == UNKNOWN ->
            uncertain = true;
            check();
            if
            :: !second -> second = true; answer = OK; number = 0; goto ask      /* once more, same token, same lease */
            :: goto unknown
            fi
        fi
    }

    /* refresh._refused: the lease goes back only when the outcome of every call under it is known */
unknown:
#ifdef RELEASE_ON_UNKNOWN
    goto give_back;
#else
    atomic { forget(); goto begin }
#endif
trouble:
#ifdef DEAD_ON_OUTAGE
    goto refused;
#endif
give_back:
    atomic {
        if
        :: let_go()
        :: FAULT -> faults++                                                            /* best effort: expiry does it */
        fi;
        forget(); goto begin
    }

    /* --- save_first: generation g + 1, before anything else --- */
save:
    atomic {
        if
        :: can_save(hand_gen[me], holds[me]) ->
            if
            :: orphan -> SEEN(ORPHAN_RESOLVED)
            :: else
            fi;
            put_grant(hand_gen[me], hand_family[me], hand[me] - 1, holds[me], ACTIVE);
            if
            :: hand[me] = 0
            :: FAULT -> faults++; goto save                                             /* written, answer lost */
            fi
        :: !can_save(hand_gen[me], holds[me]) && g_status == REVOKED -> goto keep
        :: !can_save(hand_gen[me], holds[me]) && g_status != REVOKED ->
            if
            :: g_write == holds[me] -> SEEN(OWN_WRITE_KNOWN)
            :: g_write != holds[me] -> SEEN(LOST_RACE)
            fi;
            hand[me] = 0
        :: FAULT -> faults++; goto again
        :: FAULT -> faults++; SEEN(DIED_WITH_ANSWER); goto dies
        fi;
        check(); forget(); goto begin
    }
    /* save_first.keep_revoked -> stores/grants.keep_for_revocation */
keep:
    atomic {
        if
#ifdef DROP_LATE
        :: hand[me] = 0
#else
        :: can_keep(hand_gen[me]) ->
            put_grant(hand_gen[me], hand_family[me], hand[me] - 1, holds[me], REVOKED);
            hand[me] = 0; was_late = true; SEEN(LATE_KEPT)
        :: !can_keep(hand_gen[me]) -> hand[me] = 0
        :: FAULT -> faults++; goto again
        :: FAULT -> faults++; goto dies
#endif
        fi;
        check(); forget(); goto begin
    }
again:
    if
    :: goto save                                                                        /* time is left */
    :: goto park
    fi;
    /* save_first._rescue: the queue first, then both in turn */
park:
    atomic {
        if
#ifdef NO_RESCUE
        :: hand[me] = 0
#else
        :: q_gen[0] == 0 -> q_gen[0] = hand_gen[me]; q_family[0] = hand_family[me]; q_seq[0] = hand[me] - 1;
            q_write[0] = holds[me]; hand[me] = 0; SEEN(PARKED)
        :: q_gen[0] != 0 && q_gen[1] == 0 -> q_gen[1] = hand_gen[me]; q_family[1] = hand_family[me];
            q_seq[1] = hand[me] - 1; q_write[1] = holds[me]; hand[me] = 0
        :: FAULT -> faults++;
            if
            :: goto save
            :: goto park
            :: excuse(); SEEN(LOSS_TOLD)                                                /* both refused to the end */
            fi
        :: FAULT -> faults++; goto dies
#endif
        fi;
        check(); forget(); goto begin
    }

    /* --- refresh._dead, dead_answer.dead_answer --- */
refused:
    /* ours: the refusal may be of a token that we spent; such a lease stays until it expires */
    answer = DEAD;
#ifdef FORGET_DOUBT
    told = ((orphan && !(c_struck && r_struck <= o_taken)) || uncertain) && strict_rule;
#else
    told = ((orphan && (o_again || !(c_struck && r_struck <= o_taken))) || uncertain) && strict_rule;
#endif
    atomic {
        if
        :: FAULT -> faults++; goto dies
#ifdef LOSER_DESTROYS
        :: usable -> skip
        :: !usable -> goto closing
#else
        :: !usable || g_gen != r_gen ->
            if
            :: g_gen != r_gen -> SEEN(DEAD_BUT_MOVED)
            :: else
            fi;
            goto closing
        :: usable && g_gen == r_gen
#endif
        fi;
#ifdef EAGER_DEAD
        goto declaring;
#endif
        if
        :: g_strikes && !too_soon -> goto declaring
        :: g_strikes && too_soon -> goto closing
        :: !g_strikes
        fi
    }
    /* stores/grants.strike */
    atomic {
        if
        :: g_gen == r_gen && usable && !g_strikes ->
            g_strikes = 1; strike_no++; strike_old = false; SEEN(STRIKE_ONE)
        :: !(g_gen == r_gen && usable && !g_strikes)
        :: FAULT -> faults++
        :: FAULT -> faults++; goto dies
        fi;
        goto closing
    }
    /* dead_answer.declare -> stores/grants.mark_needs_reauth */
declaring:
    atomic {
        if
#ifdef LOSER_DESTROYS
        :: usable ->
#else
        :: usable && g_gen == r_gen ->
#endif
            I7_two_dead_answers = dead_gen == g_gen && dead_old;
            assert(I7_two_dead_answers);
            I7_no_other_lease = !(l_gen == g_gen && l_intent && !l_expired && l_write != holds[me]);
            assert(I7_no_other_lease);
            I7_the_grant_is_dead = user_did[g_family] || lost[g_family] == p_seq[g_family] + 1;
            assert(I7_the_grant_is_dead);
            I7_reason_is_true = told || user_did[g_family];     /* revoked_by_user is said only when the user did */
            assert(I7_reason_is_true);
            g_status = NEEDS_REAUTH; g_due = false;
            if
            :: told -> SEEN(STRIKE_TWO_OURS)
            :: !told -> SEEN(STRIKE_TWO_THEIRS)
            fi
        :: else
        :: FAULT -> faults++
        :: FAULT -> faults++; goto dies
        fi
    }
closing:
    /* take_lease.close_lease, unless the reason is ours */
    atomic {
        if
        :: !told && l_write == holds[me] -> l_intent = false
        :: told || l_write != holds[me]
        :: FAULT -> faults++
        fi;
        forget(); goto begin
    }

    /* --- revoke_upstream._revoke, tell_provider --- */
tell:
    atomic {
        if
        :: FAULT -> faults++; goto give_back                                            /* put off: work_of_ends._put_off */
        :: FAULT -> faults++; goto dies
        :: p_dead[r_family]                                                             /* gone */
        :: !p_dead[r_family] && r_seq == p_seq[r_family] ->
            p_dead[r_family] = true; SEEN(REVOKED_UPSTREAM);
            if
            :: was_late -> SEEN(LATE_REVOKED)
            :: else
            fi
        :: !p_dead[r_family] && r_seq != p_seq[r_family]                                /* a token it knows no more */
        fi
    }
    /* revoke_upstream._erase -> stores/revocation.erase: the set that was told, and no other */
    atomic {
        if
#ifdef ERASE_ALL
        :: g_status == REVOKED && g_sealed ->
#else
        :: g_status == REVOKED && g_sealed && g_write == r_write ->
#endif
            I5_told_before_erased = p_dead[g_family] || g_seq != p_seq[g_family];
            assert(I5_told_before_erased);
            g_sealed = false; SEEN(ERASED)
        :: else
        :: FAULT -> faults++
        :: FAULT -> faults++; goto dies
        fi;
        check()
    }
    goto give_back;

dies:
    atomic { excuse(); check(); forget(); goto begin }
}

/* rescue.rescue: the same write, the same fence */
proctype Rescue() {
    byte at;
next:
    atomic {
        if
        :: q_gen[0] -> at = 0
        :: q_gen[1] -> at = 1
        fi;
        if
        :: can_save(q_gen[at], q_write[at]) ->
            if
            :: g_status == NEEDS_REAUTH -> SEEN(DECLARED_BUT_SAVED)
            :: else
            fi;
            put_grant(q_gen[at], q_family[at], q_seq[at], q_write[at], ACTIVE); SEEN(PARKED_SAVED)
        :: !can_save(q_gen[at], q_write[at]) && g_status == REVOKED -> goto keep
        :: !can_save(q_gen[at], q_write[at]) && g_status != REVOKED -> SEEN(PARKED_MOVED)
        :: FAULT -> faults++; goto next                                                 /* it stays in the queue */
        fi
    }
    goto done;
keep:
    atomic {
        if
        :: can_keep(q_gen[at]) ->
            put_grant(q_gen[at], q_family[at], q_seq[at], q_write[at], REVOKED); was_late = true; SEEN(PARKED_KEPT)
        :: !can_keep(q_gen[at])
        :: FAULT -> faults++; at = 0; goto next
        fi
    }
done:
    atomic {
        if
        :: q_gen[at] = 0; q_family[at] = 0; q_seq[at] = 0; q_write[at] = 0
        :: FAULT -> faults++                                                            /* delivered again */
        fi;
        at = 0; check(); goto next
    }
}

#ifdef STEAL_LIVE_LEASE
#define run_is_over true
#else
#define run_is_over (holds[l_owner] != l_write)     /* 30 s > hard timeout 20 s + 2 x 5 s of skew */
#endif
#ifdef FLAPPING_TABLE
#define delivered true
#else
#define delivered (!parked)     /* 300 s > redelivery every 130 s, while the table that took the note takes writes */
#endif

#ifdef EARLY_DUE
#define grown true
#else
#define grown (!l_intent || l_expired)  /* lease_policy.until_grown: 60 s > lease 30 s; README.md tells of the gap */
#endif

proctype Clock() {
    do
#ifndef LEASE_FOR_EVER
    :: atomic {
        l_gen && l_intent && !l_expired && run_is_over ->
        l_expired = true;
        if
        :: holds[l_owner] != l_write && in_flight[0] == l_write -> in_flight[0] = 0
        :: holds[l_owner] != l_write && in_flight[1] == l_write -> in_flight[1] = 0
        :: else
        fi
    }
#endif
#ifndef HORIZON_FOR_EVER
    :: atomic { l_seen && l_expired && !l_horizon && delivered -> l_horizon = true }
#endif
    :: atomic { g_strikes && !strike_old -> strike_old = true; dead_old = true }
    :: atomic { usable && !g_due && g_gen <= LAST && grown -> g_due = true }
    od
}

proctype User() {
    bool gave_up;
    do
    :: atomic { g_status != REVOKED -> g_status = REVOKED; break }          /* stores/revocation.disconnect: final */
    :: atomic { !gave_up -> gave_up = true; p_dead[g_family] = true; user_did[g_family] = true }
    :: atomic {
        g_status != REVOKED && g_family == 0 ->     /* stores/confirmation.confirm: generation + 1, a new consent */
        g_family = 1;
        put_grant(g_gen + 1, 1, 0, 0, ACTIVE)
    }
    :: break
    od
}

init {
    atomic {
#ifdef PROFILE
        profile = PROFILE;
#elif defined(TWO_PROFILES)     /* the two that differ most, for the searches that cost most */
        if
        :: profile = FAMILY
        :: profile = GRACE
        fi;
#else
        if
        :: profile = STRICT
        :: profile = FAMILY
        :: profile = GRACE
        :: profile = SHORT
        :: profile = LASTING
        fi;
#endif
        byte each = 0;
        do
        :: each < WORKERS -> run Invocation(each); each++
        :: each == WORKERS -> break
        od;
        each = 0;
        run Rescue(); run Clock(); run User()
    }
}

#ifdef LIVENESS
ltl I9 { <>[] settled }
#endif
