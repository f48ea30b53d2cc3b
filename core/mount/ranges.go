package mount

import (
	"strconv"
	"strings"
)

// span is a part of a file.
type span struct{ off, n int64 }

// maxRanges bounds the parts of one answer; more of them are a way to make a
// server work, not a way to read a file (RFC 9110 14.2, 17.15).
const maxRanges = 16

// parseRange reads a Range value for a file of that size (RFC 9110 14.1.2).
//
//	spans, true   serve these
//	nil, true     nothing in it can be served: 416
//	nil, false    no range request that we answer: serve the whole file
func parseRange(value string, size int64) (spans []span, ok bool) {
	set, found := strings.CutPrefix(value, "bytes=")
	if !found {
		return nil, false
	}
	total, count := int64(0), 0
	for part := range strings.SplitSeq(set, ",") {
		part = strings.Trim(part, " \t")
		if part == "" {
			continue
		}
		if count++; count > maxRanges {
			return nil, false
		}
		s, valid, satisfiable := parseSpan(part, size)
		if !valid {
			return nil, false
		}
		if satisfiable {
			spans = append(spans, s)
			total += s.n
		}
	}
	if count == 0 || total > size {
		return nil, false // overlapping parts: the whole costs less
	}
	return spans, true
}

// parseSpan reads "first-last", "first-" or "-suffix".
func parseSpan(part string, size int64) (s span, valid, satisfiable bool) {
	first, last, found := strings.Cut(part, "-")
	if !found {
		return s, false, false
	}
	if first == "" {
		n, ok := parsePos(last)
		if !ok {
			return s, false, false
		}
		n = min(n, size)
		return span{size - n, n}, true, n > 0
	}
	from, ok := parsePos(first)
	if !ok {
		return s, false, false
	}
	to := size - 1
	if last != "" {
		if to, ok = parsePos(last); !ok || to < from {
			return s, false, false
		}
		to = min(to, size-1)
	}
	return span{from, to - from + 1}, true, from < size
}

// parsePos reads 1*DIGIT.
func parsePos(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// contentRange is the Content-Range value of a span.
func contentRange(s span, size int64) string {
	return "bytes " + strconv.FormatInt(s.off, 10) + "-" + strconv.FormatInt(s.off+s.n-1, 10) + "/" + strconv.FormatInt(size, 10)
}
