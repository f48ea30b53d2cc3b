package core

// A long frame is read from the socket straight into the message that an Assembler
// puts together: in fewer and larger reads, and without a copy. That goes on for as
// long as the rest of the frame is its payload, so no byte of anything else can come
// to lie there.

const (
	// directFrom is how much of a frame must be missing for that.
	directFrom = 16 << 10
	// directRead is the most that one such read takes, and a turn has one of them
	// for each link: what is read should still be in the processor's cache when it
	// is looked at, and the next link served soon.
	directRead = 512 << 10
)

// direct sends what the link receives next into the message that the handler has
// just put a piece of, if it did: left bytes of the frame are missing.
func (l *link) direct(left int64) {
	if a := l.th.fed; a != nil && left >= directFrom && a.parts != nil {
		l.keep().into = a
		l.flags |= lfInto
	}
}

// indirect ends that.
func (l *link) indirect() {
	l.flags &^= lfInto
	if l.store != nil {
		l.store.into = nil
	}
}

// receiveInto is receive for a link whose bytes go into a message. It reports false
// if they do not: nothing has been read then.
func (l *link) receiveInto() bool {
	r, ok := l.role.(*wsRole)
	if !ok || l.store == nil || l.store.into == nil || len(l.tail()) > 0 || l.flags&(lfLinger|lfHangup) != 0 {
		l.indirect()
		return false
	}
	room := l.store.into.room(r.dec.Missing())
	if len(room) == 0 {
		l.indirect()
		return false
	}
	if n := l.readSome(room); n > 0 {
		l.consume(room[:n], false)
	}
	return true
}

// room returns where the next bytes of the message go, missing of its frame being on
// their way; nothing if the message is finished or given up.
func (a *Assembler) room(missing int64) []byte {
	if a.parts == nil || missing == 0 {
		return nil
	}
	p := *a.parts
	want := int(min(missing, directRead))
	if cap(p)-len(p) < min(want, directFrom) {
		// As in appendPiece: no faster than the peer really sends. Used buffers
		// are for messages that begin: those that grow make the stock.
		all := whole(len(p), missing)
		size := max(2*len(p), len(p)+64<<10)
		if size > all/4*3 {
			size = all
		}
		p = append(make([]byte, 0, size), p...)
		*a.parts = p
	}
	return p[len(p):min(cap(p), len(p)+want)]
}

// inPlace reports whether a piece lies where it would be copied to.
func (a *Assembler) inPlace(p []byte) bool {
	at := *a.parts
	return len(p) > 0 && cap(at)-len(at) >= len(p) && &at[:len(at)+1][len(at)] == &p[0]
}
