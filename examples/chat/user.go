package main

import (
	"encoding/json"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"anyloop/core"
)

// user is the handler of one connection.
type user struct {
	seen
	h    *hall
	c    *core.Conn
	out  *core.Outbox
	asm  core.Assembler
	nick string
	room *room // nil before joining; written under the hall's lock, on this thread

	allowed float64 // messages that may be sent now
	refill  time.Time
}

// Nobody says more than a few things in a second for long.
const (
	perSecond = 5
	burst     = 20
)

func (h *hall) newUser(c *core.Conn) core.WSHandler {
	return &user{h: h, c: c, out: core.NewOutbox(c, h.policy), allowed: burst, refill: c.Thread().Now()}
}

// Opened starts the timer that watches the outbox.
func (u *user) Opened(c *core.Conn, _ *core.Request) error { return c.SetTimer(listEvery) }

// Timer implements core.TimerHandler.
func (u *user) Timer(c *core.Conn) error {
	u.h.look(u, int64(u.out.Pending()), int64(u.out.Dropped()), c.Thread().Now())
	return c.SetTimer(listEvery)
}

func (u *user) Writable(_ *core.Conn, w *core.WSWriter) error { return u.out.Writable(w) }

func (u *user) Closed(c *core.Conn, _ error) { u.h.leave(u, c.Thread().Now()) }

// request is what the page sends: {"join": room, "nick": name} or {"say": text}.
type request struct {
	Join string `json:"join"`
	Nick string `json:"nick"`
	Say  string `json:"say"`
}

func (u *user) Receive(c *core.Conn, f core.Fragment) error {
	m, done, err := u.asm.Add(c, f)
	if err != nil || !done {
		return err
	}
	var q request
	if m.Binary || json.Unmarshal(m.Data, &q) != nil {
		return &core.CloseError{Code: 1003, Text: "JSON text, please"}
	}
	now := c.Thread().Now()
	switch {
	case !u.mayTalk(now):
		return u.complain("not so fast")
	case q.Join != "":
		return u.join(q, now)
	case u.room == nil:
		return u.complain("join a room first")
	default:
		return u.say(q.Say)
	}
}

// mayTalk takes one message off what u may send.
func (u *user) mayTalk(now time.Time) bool {
	u.allowed = min(burst, u.allowed+perSecond*now.Sub(u.refill).Seconds())
	u.refill = now
	if u.allowed < 1 {
		return false
	}
	u.allowed--
	return true
}

func (u *user) join(q request, now time.Time) error {
	name, nick := tidy(q.Join), tidy(q.Nick)
	if !fits(name, maxName) || !fits(nick, maxName) {
		return u.complain("a room and a nick have 1 to 24 characters")
	}
	u.h.leave(u, now)
	if err := u.h.join(u, name, nick, now); err != nil {
		return u.complain(err.Error())
	}
	return u.tell(event{Kind: "joined", Room: name, Nick: u.nick})
}

func (u *user) say(text string) error {
	text = strings.TrimSpace(text)
	if !fits(text, maxText) {
		return u.complain("say 1 to 1000 characters")
	}
	if err := u.room.g.Send(event{Kind: "said", Nick: u.nick, Text: text}.message()); err != nil {
		return u.complain("the room is busy; try again")
	}
	return nil
}

func (u *user) complain(text string) error { return u.tell(event{Kind: "error", Text: text}) }

// tell sends to u alone. Who takes nothing misses it, as the policy has it.
func (u *user) tell(e event) error {
	if err := u.out.Send(e.message()); err != nil && err != core.ErrFull {
		return err
	}
	return nil
}

// tidy makes one line of a name.
func tidy(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
}

func fits(s string, most int) bool { return s != "" && utf8.RuneCountInString(s) <= most }
