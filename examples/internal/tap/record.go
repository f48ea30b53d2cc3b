package tap

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Record is a connection that is over, as it was on the wire.
type Record struct {
	// Request and Response are the heads of the handshake.
	Request  *http.Request
	Response *http.Response
	// Offer and Answer are their Sec-WebSocket-Extensions, "" for none; Agreed
	// is what they come to.
	Offer, Answer string
	Agreed        Params
	// Up is what the client sent, Down what the server sent.
	Up, Down Side

	err error
}

// Side is what one side sent after the handshake.
type Side struct {
	Messages     []Sent
	Compressed   int // of Messages: with RSV1 set
	Pings, Pongs []string
	Close        *Close // nil: it sent none
}

// Sent is a whole message on the wire.
type Sent struct {
	Message
	Frames     int  // of them it is made
	Compressed bool // RSV1 is set on the first
	Wire       int  // bytes of payload on the wire, all frames
}

// Close is a Close frame; Code is 1005 if it is empty.
type Close struct {
	Code int
	Text string
}

// String lists what was on the wire, in a few lines, for messages of failure.
func (r *Record) String() string {
	return fmt.Sprintf("offer  %q\nanswer %q\nclient %v\nserver %v", r.Offer, r.Answer, &r.Up, &r.Down)
}

// String describes a side in one line.
func (s *Side) String() string {
	return fmt.Sprintf("%d messages (%d compressed), pings %q, pongs %q, close %v", len(s.Messages), s.Compressed, s.Pings, s.Pongs, s.Close)
}

// read makes a record of the bytes of both directions.
func read(up, down []byte) *Record {
	r := &Record{}
	r.err = r.parse(up, down)
	return r
}

func (r *Record) parse(up, down []byte) error {
	upHead, upRest, ok1 := bytes.Cut(up, []byte("\r\n\r\n"))
	downHead, downRest, ok2 := bytes.Cut(down, []byte("\r\n\r\n"))
	if !ok1 || !ok2 {
		return fmt.Errorf("no whole handshake: %.200q, %.200q", up, down)
	}
	var err error
	if r.Request, err = http.ReadRequest(reader(upHead)); err != nil {
		return err
	}
	if r.Response, err = http.ReadResponse(reader(downHead), r.Request); err != nil {
		return err
	}
	r.Offer = strings.Join(r.Request.Header.Values("Sec-Websocket-Extensions"), ", ")
	r.Answer = strings.Join(r.Response.Header.Values("Sec-Websocket-Extensions"), ", ")
	if r.Response.StatusCode != http.StatusSwitchingProtocols {
		return nil
	}
	if r.Agreed, err = agree(r.Offer, r.Answer); err != nil {
		return err
	}
	if err := r.Up.parse(upRest, true, r.Agreed.On, r.Agreed.ClientBits, r.Agreed.ClientNoTakeover); err != nil {
		return fmt.Errorf("client: %w", err)
	}
	if err := r.Down.parse(downRest, false, r.Agreed.On, r.Agreed.ServerBits, r.Agreed.ServerNoTakeover); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

func reader(head []byte) *bufio.Reader {
	return bufio.NewReader(io.MultiReader(bytes.NewReader(head), strings.NewReader("\r\n\r\n")))
}

// parse reads the frames of one side. deflate says whether compression was agreed
// upon, bits and fresh what this side's compressor was to keep to.
func (s *Side) parse(b []byte, masked, deflate bool, bits int, fresh bool) error {
	var cur *Sent
	var past []byte // of the messages before, as far as a window reaches
	for n := 0; len(b) > 0 && s.Close == nil; n++ {
		f, rest, err := next(b, masked)
		if err != nil {
			return fmt.Errorf("frame %d: %w", n, err)
		}
		b = rest
		if f.opcode >= 8 {
			if err := s.control(f); err != nil {
				return fmt.Errorf("frame %d: %w", n, err)
			}
			continue
		}
		switch {
		case (f.opcode == 0) != (cur != nil):
			return fmt.Errorf("frame %d: opcode %d where a message is %s", n, f.opcode, map[bool]string{true: "unfinished", false: "to begin"}[cur != nil])
		case f.rsv1 && (cur != nil || !deflate):
			return fmt.Errorf("frame %d: RSV1 on a continuation or without an agreement", n)
		}
		if cur == nil {
			cur = &Sent{Message: Message{Binary: f.opcode == 2}, Compressed: f.rsv1}
		}
		cur.Data = append(cur.Data, f.payload...)
		cur.Wire += len(f.payload)
		cur.Frames++
		if !f.fin {
			continue
		}
		if past, err = s.whole(cur, past, bits, fresh); err != nil {
			return fmt.Errorf("message %d: %w", len(s.Messages), err)
		}
		cur = nil
	}
	if s.Close != nil && len(b) > 0 {
		return fmt.Errorf("%d bytes after the Close frame", len(b))
	}
	return nil
}

// whole takes a message whose last frame has come, and returns the history.
func (s *Side) whole(m *Sent, past []byte, bits int, fresh bool) ([]byte, error) {
	if m.Compressed {
		if fresh {
			past = nil
		}
		// A distance that reaches beyond what the window may keep of the
		// messages before is refused here.
		z := flate.NewReaderDict(io.MultiReader(bytes.NewReader(m.Data), strings.NewReader(tail)), past)
		plain, err := io.ReadAll(z)
		if err != nil {
			return nil, fmt.Errorf("inflating %d bytes, window %d bits: %w", len(m.Data), bits, err)
		}
		m.Data = plain
		s.Compressed++
		past = append(past[:len(past):len(past)], plain...)
		past = past[max(0, len(past)-1<<bits):]
	}
	if !m.Binary && !utf8.Valid(m.Data) {
		return nil, errors.New("text that is not UTF-8")
	}
	s.Messages = append(s.Messages, *m)
	return past, nil
}

// tail is what RFC 7692 7.2.2 has the receiver append, and an empty last block.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

func (s *Side) control(f frame) error {
	if f.rsv1 || !f.fin || len(f.payload) > 125 {
		return fmt.Errorf("control frame %d with RSV1 %v, FIN %v, %d bytes", f.opcode, f.rsv1, f.fin, len(f.payload))
	}
	switch f.opcode {
	case 8:
		s.Close = &Close{Code: 1005}
		if n := len(f.payload); n == 1 {
			return errors.New("Close with one byte")
		} else if n > 1 {
			*s.Close = Close{int(binary.BigEndian.Uint16(f.payload)), string(f.payload[2:])}
		}
	case 9:
		s.Pings = append(s.Pings, string(f.payload))
	case 10:
		s.Pongs = append(s.Pongs, string(f.payload))
	default:
		return fmt.Errorf("opcode %d", f.opcode)
	}
	return nil
}

type frame struct {
	fin, rsv1 bool
	opcode    byte
	payload   []byte
}

// next takes one frame off b (RFC 6455 5.2).
func next(b []byte, masked bool) (f frame, rest []byte, err error) {
	head := append([]byte(nil), b[:min(len(b), 14)]...)
	head = append(head, make([]byte, 14-len(head))...) // a cut header is found out by its length below
	f = frame{fin: head[0]&0x80 != 0, rsv1: head[0]&0x40 != 0, opcode: head[0] & 15}
	n, size := uint64(head[1]&0x7f), 2
	switch n {
	case 126:
		n, size = uint64(binary.BigEndian.Uint16(head[2:])), 4
	case 127:
		n, size = binary.BigEndian.Uint64(head[2:]), 10
	}
	if head[1]&0x80 != 0 {
		size += 4
	}
	switch {
	case head[0]&0x30 != 0:
		return f, nil, fmt.Errorf("RSV2 or RSV3 is set: %#x", head[0])
	case f.opcode > 2 && f.opcode < 8:
		return f, nil, fmt.Errorf("opcode %d", f.opcode)
	case (head[1]&0x80 != 0) != masked:
		return f, nil, fmt.Errorf("masked is %v", !masked)
	case head[1]&0x7f == 126 && n < 126 || head[1]&0x7f == 127 && n < 1<<16:
		return f, nil, fmt.Errorf("a length of %d in more bytes than it needs", n)
	case uint64(len(b)) < uint64(size)+n:
		return f, nil, fmt.Errorf("cut off after %d of %d bytes", len(b), uint64(size)+n)
	}
	f.payload = append([]byte(nil), b[size:size+int(n)]...)
	for i := range f.payload {
		if masked {
			f.payload[i] ^= head[size-4+i&3]
		}
	}
	return f, b[size+int(n):], nil
}
