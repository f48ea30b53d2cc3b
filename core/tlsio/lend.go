package tlsio

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// The buffers of a tls.Conn. They are not exported: their places are looked up
// by name and type, once, and lending is off when one is not as it was.
var (
	rawInputAt, rawInputOK = field("rawInput", reflect.TypeFor[bytes.Buffer]()) // records as they came, decrypted in place
	inputAt, inputOK       = field("input", reflect.TypeFor[bytes.Reader]())    // plaintext, in the memory of rawInput
	handAt, handOK         = field("hand", reflect.TypeFor[bytes.Buffer]())     // handshake messages, copied
)

func field(name string, want reflect.Type) (at uintptr, ok bool) {
	f, ok := reflect.TypeFor[tls.Conn]().FieldByName(name)
	return f.Offset, ok && f.Type == want && len(f.Index) == 1
}

// CanLend reports whether Options.Lend has an effect: whether this Go release's
// crypto/tls has the fields that it reaches into.
func CanLend() bool { return rawInputOK && inputOK && handOK }

func (s *Session) rawInput() *bytes.Buffer {
	return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(s.tc), rawInputAt))
}

func (s *Session) input() *bytes.Reader {
	return (*bytes.Reader)(unsafe.Add(unsafe.Pointer(s.tc), inputAt))
}

func (s *Session) hand() *bytes.Buffer {
	return (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(s.tc), handAt))
}

// lendNext makes the next record, where it lies, crypto/tls's own buffer. That is
// empty: crypto/tls has never been given more than it has consumed.
func (s *Session) lendNext() {
	if s.rawInput().Len() == 0 && s.input().Len() == 0 {
		if rec := s.in.take(); rec != nil {
			*s.rawInput() = *bytes.NewBuffer(rec)
			s.lending = true
		}
	}
}

// unlend leaves crypto/tls nothing of what was lent, and no empty buffer. What
// it still holds it has copied.
func (s *Session) unlend() {
	lent := s.lending
	s.lending = false
	if lent || !s.more {
		*s.rawInput() = bytes.Buffer{}
		*s.input() = bytes.Reader{}
	}
	if h := s.hand(); h.Len() == 0 {
		*h = bytes.Buffer{}
	}
}
