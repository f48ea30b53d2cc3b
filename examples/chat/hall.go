package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"anyloop/core"
)

// Bounds on what users can cost.
const (
	maxMessage = 4 << 10 // bytes of a message from a user
	maxText    = 1000    // characters of what somebody says
	maxName    = 24      // characters of a nick or of a room's name
	maxRooms   = 1000
	maxUsers   = 2000 // of one room
	listEvery  = time.Second
)

// hall is all rooms. Users live on any service thread, so it is locked; what is
// sent goes by groups, which are not.
type hall struct {
	policy core.Policy
	mu     sync.Mutex
	rooms  map[string]*room
}

// room is there while somebody is in it.
type room struct {
	name   string
	g      *core.Group
	users  map[string]*user // by nick; guarded by the hall
	listed time.Time        // when the list was last sent
	dirty  bool             // and something has changed since
}

// event is what the page receives.
type event struct {
	Kind  string `json:"kind"` // said, came, left, joined, list, error
	Room  string `json:"room,omitempty"`
	Nick  string `json:"nick,omitempty"`
	Text  string `json:"text,omitempty"`
	Users []line `json:"users,omitempty"`
}

// line is one user in the list: what waits, and what was dropped as too slow.
type line struct {
	Nick    string `json:"nick"`
	Pending int64  `json:"pending"`
	Dropped int64  `json:"dropped"`
}

func (e event) message() core.Message {
	b, err := json.Marshal(e)
	if err != nil {
		b = []byte(`{"kind":"error"}`) // it has only strings and numbers
	}
	return core.Message{Data: b}
}

func newHall(p core.Policy) *hall { return &hall{policy: p, rooms: map[string]*room{}} }

var (
	errRooms = errors.New("there are too many rooms")
	errUsers = errors.New("the room is full")
)

// join puts u into a room, under its nick or one like it.
func (h *hall) join(u *user, name, nick string, now time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := h.rooms[name]
	switch {
	case r == nil && len(h.rooms) >= maxRooms:
		return errRooms
	case r == nil:
		r = &room{name: name, g: core.NewGroup(core.GroupLimits{}), users: map[string]*user{}}
		h.rooms[name] = r
	case len(r.users) >= maxUsers:
		return errUsers
	}
	u.nick = nick
	for i := 2; r.users[u.nick] != nil; i++ {
		u.nick = fmt.Sprintf("%s %d", nick, i)
	}
	u.room = r
	r.users[u.nick] = u
	if err := r.g.Add(u.out); err != nil {
		h.remove(u)
		return err
	}
	r.g.SendExcept(u.out, event{Kind: "came", Nick: u.nick}.message())
	r.dirty = true
	h.list(r, now)
	return nil
}

// leave takes u out of its room.
func (h *hall) leave(u *user, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := u.room
	if r == nil {
		return
	}
	r.g.Remove(u.out)
	h.remove(u)
	r.g.Send(event{Kind: "left", Nick: u.nick}.message())
	r.dirty = true
	h.list(r, now)
}

// remove forgets u, and the room with the last one in it. h is locked.
func (h *hall) remove(u *user) {
	r := u.room
	delete(r.users, u.nick)
	if u.room = nil; len(r.users) == 0 {
		delete(h.rooms, r.name)
	}
}

// look is called now and then by each user: it notes what waits for u, and sends
// the list when that, or who is there, has changed for anybody.
func (h *hall) look(u *user, pending, dropped int64, now time.Time) {
	changed := u.pending.Swap(pending) != pending
	changed = u.dropped.Swap(dropped) != dropped || changed
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := u.room; r != nil {
		r.dirty = r.dirty || changed
		h.list(r, now)
	}
}

// list sends who is there, not more often than listEvery. h is locked.
func (h *hall) list(r *room, now time.Time) {
	if !r.dirty || now.Sub(r.listed) < listEvery {
		return
	}
	r.dirty, r.listed = false, now
	e := event{Kind: "list", Room: r.name}
	for _, nick := range slices.Sorted(maps.Keys(r.users)) {
		u := r.users[nick]
		e.Users = append(e.Users, line{nick, u.pending.Load(), u.dropped.Load()})
	}
	r.g.Send(e.message())
}

// seen is what others may read of a user.
type seen struct{ pending, dropped atomic.Int64 }
