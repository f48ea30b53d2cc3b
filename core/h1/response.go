package h1

import (
	"strconv"
	"time"

	"anyloop/core/header"
)

// reasons has the phrase of every status code in use (RFC 9110 15).
var reasons = map[int]string{
	100: "Continue", 101: "Switching Protocols",
	200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information", 204: "No Content",
	205: "Reset Content", 206: "Partial Content", 207: "Multi-Status",
	300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
	307: "Temporary Redirect", 308: "Permanent Redirect",
	400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden", 404: "Not Found",
	405: "Method Not Allowed", 406: "Not Acceptable", 407: "Proxy Authentication Required", 408: "Request Timeout",
	409: "Conflict", 410: "Gone", 411: "Length Required", 412: "Precondition Failed", 413: "Content Too Large",
	414: "URI Too Long", 415: "Unsupported Media Type", 416: "Range Not Satisfiable", 417: "Expectation Failed",
	421: "Misdirected Request", 422: "Unprocessable Content", 423: "Locked", 425: "Too Early", 426: "Upgrade Required",
	428: "Precondition Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
	451: "Unavailable For Legal Reasons",
	500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
	504: "Gateway Timeout", 505: "HTTP Version Not Supported", 507: "Insufficient Storage",
	511: "Network Authentication Required",
}

// StatusText returns the reason phrase of a status code, "" if it has none.
func StatusText(code int) string { return reasons[code] }

// AppendStatus appends "HTTP/1.<minor> <code> <phrase>" and the line's end.
func AppendStatus(dst []byte, minor, code int) []byte {
	if code == 200 && minor == 1 {
		return append(dst, "HTTP/1.1 200 OK\r\n"...)
	}
	dst = append(dst, "HTTP/1."...)
	dst = append(dst, byte('0'+minor), ' ')
	dst = strconv.AppendInt(dst, int64(code), 10)
	dst = append(dst, ' ')
	dst = append(dst, reasons[code]...)
	return append(dst, '\r', '\n')
}

// ValidField reports whether a name and value may be written into a header: a
// token in lower case, and no CR, LF or NUL (RFC 9110 5.1, 5.5).
func ValidField(name, value string) bool {
	for i := 0; i < len(name); i++ {
		if 'A' <= name[i] && name[i] <= 'Z' {
			return false
		}
	}
	return header.IsToken(name) && header.IsValue(value)
}

// AppendInt appends a decimal number.
func AppendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// MaxChunkHeader is the most that AppendChunkHeader appends.
const MaxChunkHeader = 18

// AppendChunkHeader appends the line before a chunk of n > 0 bytes; CRLF follows
// the data.
func AppendChunkHeader(dst []byte, n int) []byte {
	dst = strconv.AppendUint(dst, uint64(n), 16)
	return append(dst, '\r', '\n')
}

// AppendLastChunk appends the end of a chunked body.
func AppendLastChunk(dst []byte) []byte { return append(dst, "0\r\n\r\n"...) }

// AppendDate appends t as an IMF-fixdate (RFC 9110 5.6.7).
func AppendDate(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 { // not a date that the form can say
		return t.AppendFormat(dst, "Mon, 02 Jan 2006 15:04:05 GMT")
	}
	hour, minute, second := t.Clock()
	dst = append(dst, "SunMonTueWedThuFriSat"[3*t.Weekday():][:3]...)
	dst = append(dst, ',', ' ', byte('0'+day/10), byte('0'+day%10), ' ')
	dst = append(dst, "JanFebMarAprMayJunJulAugSepOctNovDec"[3*(month-1):][:3]...)
	return append(dst, ' ', byte('0'+year/1000), byte('0'+year/100%10), byte('0'+year/10%10), byte('0'+year%10),
		' ', byte('0'+hour/10), byte('0'+hour%10), ':', byte('0'+minute/10), byte('0'+minute%10),
		':', byte('0'+second/10), byte('0'+second%10), ' ', 'G', 'M', 'T')
}

// BodyAllowed reports whether a response has a body (RFC 9110 6.4.1): not to
// HEAD, and not with 1xx, 204 and 304.
func BodyAllowed(m Method, status int) bool {
	return m != HEAD && status >= 200 && status != 204 && status != 304
}
