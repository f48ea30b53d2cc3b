package core

import (
	"fmt"
	"time"
)

// Limits bounds what peers can cost. A zero field means its default, -1 means
// no limit. Config.Limits holds for the engine; VHost.Limits overrides, field
// by field, those marked "per vhost"; where vhosts share an address, the first of them
// bounds a connection until a header has told which one is meant. Time limits are at
// most a hundred years. Errors and statistics use the field names.
type Limits struct {
	// Time, per vhost.

	HandshakeTimeout  time.Duration // from accept, or from a request's first byte, to the end of its header; 15 s
	TLSTimeout        time.Duration // from accept to the end of the TLS handshake; HandshakeTimeout runs from there; 15 s
	HeaderIdleTimeout time.Duration // without a byte while a header is incomplete; 10 s
	KeepAliveTimeout  time.Duration // idle between two HTTP requests; 5 s
	ContentTimeout    time.Duration // without progress of a request body or a response; 15 s
	IdleTimeout       time.Duration // WebSocket without a message from the peer; default none
	PingInterval      time.Duration // WebSocket: since the last proof that the peer lives, before a Ping is sent; 40 s, or four fifths of PongTimeout
	PongTimeout       time.Duration // WebSocket: since the last proof, before the connection is given up; 50 s, or 10 s after PingInterval, none without Pings
	FlushTimeout      time.Duration // to send what is left before a close; 5 s
	CloseTimeout      time.Duration // for the peer's answer to our Close frame; 5 s
	HangupTimeout     time.Duration // for reading what a peer that hung up has left behind; 3 s
	LingerTimeout     time.Duration // for the peer to stop sending after a refused request, or a server's closing handshake; 2 s
	ConnectTimeout    time.Duration // client: from Dial until a connection, and a proxy's consent, are there; 5 s
	AnswerTimeout     time.Duration // client: after that, for the TLS handshake and the server's answer to the opening handshake; 15 s
	AttemptDelay      time.Duration // client: between the starts of attempts to the addresses of a name (RFC 8305 8); 250 ms
	FinTimeout        time.Duration // client: for the server to close TCP after the closing handshake (RFC 6455 7.1.1); 1 s

	// Sizes, per vhost.

	RequestLine   int   // bytes; 8192
	HeaderBytes   int   // bytes of all header fields of a request; 4096
	HeaderFields  int   // fields of a request; 128
	MaxBody       int64 // bytes of a request body; 100 MiB
	MaxFrame      int64 // bytes of a WebSocket frame's payload; 256 MiB
	MaxMessage    int64 // bytes of a WebSocket message, over all its fragments; default none, but 1 MiB where OnMessage or an Assembler puts it together, also with -1
	MaxInflated   int64 // bytes of a compressed WebSocket message when inflated, besides MaxMessage; 64 MiB
	MaxRatio      int   // inflated bytes per compressed byte of a message, beyond its first 64 KiB; default none
	DeflateMemory int64 // bytes that all connections of a vhost, accepted or dialled, keep together for permessage-deflate (see Deflate); 256 MiB
	RxPiece       int   // bytes handed to Receive at once; default what one read returned, or 16 KiB of inflated data
	WriteLimit    int   // bytes of one WebSocket message or fragment to be sent; 16 MiB
	OutboxBytes   int   // bytes waiting in an Outbox; 1 MiB
	OutboxCount   int   // messages waiting in an Outbox; 1024
	Pipeline      int   // pipelined requests served in a row before others get a turn; 64

	// Per service thread.

	MaxConns    int           // connections of peers, without our own descriptors; default (open-file limit - 64, below 256 three quarters of it) / threads
	HeaderPool  int           // header tables, so requests being read or answered at the same time; 1024
	AcceptPause time.Duration // after EMFILE or ENFILE, before accepting is tried again; 100 ms
	AcceptBatch int           // connections accepted in one turn of a listener; 64
	PostQueue   int           // functions waiting from Post; 65536
	PostBatch   int           // functions run in one turn; 1024
	Workers     int           // goroutines for blocking work (files), of the whole engine; 8
	WorkQueue   int           // jobs waiting for a worker, and lookups for theirs, of the whole engine; 4096
	Lookups     int           // goroutines that resolve names, of the whole engine; 16
	Handshakes  int           // TLS handshakes underway, each with a stack of its own; further ones wait; 1024
	ShakeBatch  int           // steps of TLS handshakes in one turn, of a tenth of a millisecond or several each; 1
}

const unlimited = -1

var defaultLimits = Limits{
	HandshakeTimeout:  15 * time.Second,
	TLSTimeout:        15 * time.Second,
	HeaderIdleTimeout: 10 * time.Second,
	KeepAliveTimeout:  5 * time.Second,
	ContentTimeout:    15 * time.Second,
	IdleTimeout:       unlimited,
	PingInterval:      40 * time.Second,
	PongTimeout:       50 * time.Second,
	FlushTimeout:      5 * time.Second,
	CloseTimeout:      5 * time.Second,
	HangupTimeout:     3 * time.Second,
	LingerTimeout:     2 * time.Second,
	ConnectTimeout:    5 * time.Second,
	AnswerTimeout:     15 * time.Second,
	AttemptDelay:      250 * time.Millisecond,
	FinTimeout:        time.Second,
	RequestLine:       8192,
	HeaderBytes:       4096,
	HeaderFields:      128,
	MaxBody:           100 << 20,
	MaxFrame:          256 << 20,
	MaxMessage:        unlimited,
	MaxInflated:       64 << 20,
	MaxRatio:          unlimited,
	DeflateMemory:     256 << 20,
	RxPiece:           unlimited,
	WriteLimit:        16 << 20,
	OutboxBytes:       1 << 20,
	OutboxCount:       1024,
	Pipeline:          64,
	MaxConns:          0, // from the open-file limit
	HeaderPool:        1024,
	AcceptPause:       100 * time.Millisecond,
	AcceptBatch:       64,
	PostQueue:         65536,
	PostBatch:         1024,
	Workers:           8,
	WorkQueue:         4096,
	Lookups:           16,
	Handshakes:        1024,
	ShakeBatch:        1,
}

// assembleDefault is MaxMessage for OnMessage, which has to keep the message.
const assembleDefault = 1 << 20

// longest is as long as a time limit gets: a hundred years. A longer one, added to the
// time of day, would be in the past.
const longest = 100 * 365 * 24 * time.Hour

// complete returns l with its zero fields filled in, from what is said beside them or
// from d.
func (l Limits) complete(d Limits) Limits {
	l.capTimes() // also before it is calculated with
	l.pairValidity()
	l = l.or(d)
	l.capTimes()
	return l
}

// capTimes shortens what is longer than longest.
func (l *Limits) capTimes() {
	for _, d := range []*time.Duration{&l.HandshakeTimeout, &l.TLSTimeout, &l.HeaderIdleTimeout, &l.KeepAliveTimeout, &l.ContentTimeout,
		&l.IdleTimeout, &l.PingInterval, &l.PongTimeout, &l.FlushTimeout, &l.CloseTimeout, &l.HangupTimeout, &l.LingerTimeout,
		&l.ConnectTimeout, &l.AnswerTimeout, &l.AttemptDelay, &l.FinTimeout, &l.AcceptPause} {
		*d = min(*d, longest)
	}
}

// checkLimits refuses what would give up peers that nobody has asked.
func (vh *VirtualHost) checkLimits() error {
	if l := &vh.limits; l.PingInterval > 0 && l.PongTimeout > 0 && l.PongTimeout <= l.PingInterval && l.PongTimeout < longest {
		return fmt.Errorf("Limits: PongTimeout (%v) must be longer than PingInterval (%v): both count from the last proof that the peer lives", l.PongTimeout, l.PingInterval)
	}
	return nil
}

// stopGrace is how long Stop lets connections end if it is not told: as long as they
// may take, by these limits or, where they have none, by their defaults.
func (l *Limits) stopGrace() time.Duration {
	flush, reply := l.FlushTimeout, l.CloseTimeout
	if flush < 0 {
		flush = defaultLimits.FlushTimeout
	}
	if reply < 0 {
		reply = defaultLimits.CloseTimeout
	}
	return flush + reply
}

// or returns l with its zero fields taken from d.
func (l Limits) or(d Limits) Limits {
	pick(&l.HandshakeTimeout, d.HandshakeTimeout)
	pick(&l.TLSTimeout, d.TLSTimeout)
	pick(&l.HeaderIdleTimeout, d.HeaderIdleTimeout)
	pick(&l.KeepAliveTimeout, d.KeepAliveTimeout)
	pick(&l.ContentTimeout, d.ContentTimeout)
	pick(&l.IdleTimeout, d.IdleTimeout)
	pick(&l.PingInterval, d.PingInterval)
	pick(&l.PongTimeout, d.PongTimeout)
	pick(&l.FlushTimeout, d.FlushTimeout)
	pick(&l.CloseTimeout, d.CloseTimeout)
	pick(&l.HangupTimeout, d.HangupTimeout)
	pick(&l.LingerTimeout, d.LingerTimeout)
	pick(&l.ConnectTimeout, d.ConnectTimeout)
	pick(&l.AnswerTimeout, d.AnswerTimeout)
	pick(&l.AttemptDelay, d.AttemptDelay)
	pick(&l.FinTimeout, d.FinTimeout)
	pick(&l.RequestLine, d.RequestLine)
	pick(&l.HeaderBytes, d.HeaderBytes)
	pick(&l.HeaderFields, d.HeaderFields)
	pick(&l.MaxBody, d.MaxBody)
	pick(&l.MaxFrame, d.MaxFrame)
	pick(&l.MaxMessage, d.MaxMessage)
	pick(&l.MaxInflated, d.MaxInflated)
	pick(&l.MaxRatio, d.MaxRatio)
	pick(&l.DeflateMemory, d.DeflateMemory)
	pick(&l.RxPiece, d.RxPiece)
	pick(&l.WriteLimit, d.WriteLimit)
	pick(&l.OutboxBytes, d.OutboxBytes)
	pick(&l.OutboxCount, d.OutboxCount)
	pick(&l.Pipeline, d.Pipeline)
	pick(&l.MaxConns, d.MaxConns)
	pick(&l.HeaderPool, d.HeaderPool)
	pick(&l.AcceptPause, d.AcceptPause)
	pick(&l.AcceptBatch, d.AcceptBatch)
	pick(&l.PostQueue, d.PostQueue)
	pick(&l.PostBatch, d.PostBatch)
	pick(&l.Workers, d.Workers)
	pick(&l.WorkQueue, d.WorkQueue)
	pick(&l.Lookups, d.Lookups)
	pick(&l.Handshakes, d.Handshakes)
	pick(&l.ShakeBatch, d.ShakeBatch)
	return l
}

// pairValidity gives who names one of PingInterval and PongTimeout the other: nobody
// is to be given up who was never asked, or before the answer can be there.
func (l *Limits) pairValidity() {
	const answer = 10 * time.Second
	switch ping, pong := l.PingInterval, l.PongTimeout; {
	case ping < 0 && pong == 0:
		l.PongTimeout = unlimited
	case ping > 0 && pong == 0:
		l.PongTimeout = ping + answer
	case ping == 0 && pong > 0:
		l.PingInterval = pong / 5 * 4
	}
}

func pick[T comparable](field *T, def T) {
	var zero T
	if *field == zero {
		*field = def
	}
}

// settled turns the counts that bound loops into numbers that loops can use, and
// sees to it that a client's attempt has an end.
func (l Limits) settled() Limits {
	for _, n := range []*int{&l.AcceptBatch, &l.PostBatch, &l.Workers, &l.Lookups, &l.Handshakes, &l.ShakeBatch} {
		if *n < 0 {
			*n = 1 << 30
		}
	}
	if l.AcceptPause < 0 {
		l.AcceptPause = time.Millisecond // none at all would spin
	}
	return l
}

// over reports whether n exceeds a limit; a negative limit is none.
func over[T int | int64](n, limit T) bool { return limit >= 0 && n > limit }
