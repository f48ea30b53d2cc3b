package h1

import (
	"bytes"

	"anyloop/core/header"
)

// BodyReader finds the end of a message's body and takes the chunking off (RFC
// 9112 6, 7.1). By value; Init before use.
type BodyReader struct {
	left    int64 // of the content-length, or of the chunk
	total   int64 // so far
	max     int64
	trailer int // bytes of trailers so far
	state   bodyState
	err     error
}

type bodyState uint8

const (
	bodyPlain   bodyState = iota // left bytes to the end
	chunkSize                    // a size line is next
	chunkData                    // left bytes of the chunk
	chunkEnd                     // CRLF behind the data
	chunkTail                    // trailer lines
	bodyToClose                  // whatever comes
	bodyOver
)

const (
	// maxChunkLine bounds a size line with its extensions, maxTrailer all
	// trailers together.
	maxChunkLine = 256
	maxTrailer   = 4096
)

// Init begins a body: of contentLength bytes (-1: none), or chunked. max bounds
// what a chunked one may come to (bytes; 0: 100 MiB, negative: none).
func (b *BodyReader) Init(contentLength int64, chunked bool, max int64) {
	lim := Limits{MaxBody: max}
	*b = BodyReader{max: lim.body(), left: contentLength}
	switch {
	case chunked:
		b.state = chunkSize
	case contentLength <= 0:
		b.state = bodyOver
	}
}

// InitResponse begins the body of a response, which may be ended by the end of the
// connection; see EOF. max bounds its size, as in Init, however it is told.
func (b *BodyReader) InitResponse(r *Response, max int64) {
	b.Init(r.ContentLength, r.Chunked, max)
	switch {
	case r.UntilClose():
		b.state = bodyToClose
	case r.ContentLength > b.max:
		b.err = ErrBodySize
	}
}

// EOF says what the end of the connection means here: nil if the body is
// complete, or if this is what completes it; ErrTruncated if something is missing
// (RFC 9112 8).
func (b *BodyReader) EOF() error {
	switch {
	case b.err != nil:
		return b.err
	case b.state == bodyToClose:
		b.state = bodyOver
	case b.state != bodyOver:
		b.err = ErrTruncated
	}
	return b.err
}

// Next consumes from p. data is a piece of the body, a part of p; n is how much
// of p was consumed. An incomplete line is not: present it again with more
// behind it; n is 0 and data empty then. done tells that the body ends with this
// piece. Errors are final.
func (b *BodyReader) Next(p []byte) (data []byte, n int, done bool, err error) {
	for b.err == nil {
		switch b.state {
		case bodyOver:
			return nil, n, true, nil
		case bodyToClose:
			if int64(len(p)) > b.max-b.total {
				b.err = ErrBodySize
				return nil, 0, false, b.err
			}
			b.total += int64(len(p))
			return p[:len(p):len(p)], len(p), false, nil
		case bodyPlain, chunkData:
			if n == len(p) {
				return nil, n, false, nil
			}
			k := int(min(b.left, int64(len(p)-n)))
			data = p[n : n+k : n+k]
			b.left -= int64(k)
			switch {
			case b.left > 0:
			case b.state == bodyPlain:
				b.state = bodyOver
			default:
				b.state = chunkEnd
			}
			return data, n + k, b.state == bodyOver, nil
		default:
			size, ok := b.line(p[n:])
			if !ok {
				return nil, n, false, b.err
			}
			n += size
		}
	}
	return nil, n, false, b.err
}

// line takes one line of the chunked framing.
func (b *BodyReader) line(p []byte) (size int, ok bool) {
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		limit := maxChunkLine
		if b.state == chunkTail {
			limit = maxTrailer - b.trailer
		}
		if len(p) > limit || b.state == chunkEnd && len(p) > 0 && p[0] != '\r' {
			b.err = ErrChunk
		}
		return 0, false
	}
	// Inside the chunked framing a lone LF is refused: readers differ on it,
	// and that is how requests are smuggled.
	if i == 0 || p[i-1] != '\r' {
		b.err = ErrChunk
		return 0, false
	}
	line := p[:i-1]
	switch b.state {
	case chunkSize:
		b.size(line)
	case chunkEnd:
		if len(line) > 0 {
			b.err = ErrChunk
			return 0, false
		}
		b.state = chunkSize
	case chunkTail:
		b.trailerLine(line)
	}
	return i + 1, b.err == nil
}

// size: chunk-size [ chunk-ext ] (RFC 9112 7.1). Extensions are ignored.
func (b *BodyReader) size(line []byte) {
	digits, ext, _ := bytes.Cut(line, []byte{';'})
	digits = bytes.TrimRight(digits, " \t")
	if len(digits) == 0 || len(digits) > 15 || len(line) > maxChunkLine || !header.IsValue(ext) {
		b.err = ErrChunk
		return
	}
	n := int64(0)
	for _, c := range digits {
		if !isHex(c) {
			b.err = ErrChunk
			return
		}
		n = n<<4 | int64(unhex(c))
	}
	if n > b.max-b.total {
		b.err = ErrBodySize
		return
	}
	b.total += n
	b.left = n
	b.state = chunkData
	if n == 0 {
		b.state = chunkTail
	}
}

// trailerLine checks a trailer field and drops it: nothing here may be merged
// into the header (RFC 9110 6.5.1).
func (b *BodyReader) trailerLine(line []byte) {
	if len(line) == 0 {
		b.state = bodyOver
		return
	}
	if b.trailer += len(line); b.trailer > maxTrailer {
		b.err = ErrHeaderSize
		return
	}
	i := bytes.IndexByte(line, ':')
	if i <= 0 || !header.IsToken(line[:i]) || !header.IsValue(line[i+1:]) {
		b.err = ErrField
	}
}
