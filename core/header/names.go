package header

// Name is a field that a protocol reads itself. A Table knows where those are
// without looking for them.
type Name uint8

// The names, by how they are written in lower case.
const (
	NoName Name = iota // any other
	Host
	Connection
	Upgrade
	ContentLength
	TransferEncoding
	Expect
	Origin
	WSKey        // sec-websocket-key
	WSVersion    // sec-websocket-version
	WSProtocol   // sec-websocket-protocol
	WSExtensions // sec-websocket-extensions
	AcceptEncoding
	IfMatch
	IfNoneMatch
	IfModifiedSince
	IfUnmodifiedSince
	Range
	names
)

// Conditional are the fields that make a request one for less than all of a file
// (RFC 9110 13, 14).
const Conditional = 1<<IfMatch | 1<<IfNoneMatch | 1<<IfModifiedSince | 1<<IfUnmodifiedSince | 1<<Range

var nameText = [names]string{"", "host", "connection", "upgrade", "content-length", "transfer-encoding", "expect", "origin",
	"sec-websocket-key", "sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions",
	"accept-encoding", "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "range"}

// String returns the name in lower case, "" for NoName.
func (n Name) String() string { return nameText[n] }

// nameOf tells which name b, in lower case, is. No two of a length begin with the
// same letter.
func nameOf(b []byte) Name {
	var n Name
	switch len(b) {
	case 4:
		n = Host
	case 5:
		n = Range
	case 6:
		if n = Origin; b[0] == 'e' {
			n = Expect
		}
	case 7:
		n = Upgrade
	case 8:
		n = IfMatch
	case 10:
		n = Connection
	case 13:
		n = IfNoneMatch
	case 14:
		n = ContentLength
	case 15:
		n = AcceptEncoding
	case 17:
		switch b[0] {
		case 't':
			n = TransferEncoding
		case 'i':
			n = IfModifiedSince
		default:
			n = WSKey
		}
	case 19:
		n = IfUnmodifiedSince
	case 21:
		n = WSVersion
	case 22:
		n = WSProtocol
	case 24:
		n = WSExtensions
	default:
		return NoName
	}
	if string(b) != nameText[n] {
		return NoName
	}
	return n
}

// index is where the fields with a Name are.
type index struct {
	has   uint32 // bits by Name: there is one
	twice uint32 // and another
	first [names]int32
}

// note adds field number i.
func (x *index) note(n Name, i int) {
	bit := uint32(1) << n
	if x.has&bit != 0 {
		x.twice |= bit
		return
	}
	x.has |= bit
	x.first[n] = int32(i)
}

// First returns the first value of a field, nil if there is none; an empty value
// is not nil. n is not NoName. Valid until Reset.
func (t *Table) First(n Name) []byte {
	if t.index.has>>n&1 == 0 {
		return nil
	}
	return t.value(t.fields[t.index.first[n]])
}

// Has reports whether there is such a field. n is not NoName.
func (t *Table) Has(n Name) bool { return t.index.has>>n&1 != 0 }

// HasAny reports whether there is a field of a set, bits by Name.
func (t *Table) HasAny(set uint32) bool { return t.index.has&set != 0 }

// Twice reports whether there are several of such a field. n is not NoName.
func (t *Table) Twice(n Name) bool { return t.index.twice>>n&1 != 0 }
