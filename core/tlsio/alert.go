package tlsio

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
)

// Alert is an error of a session that ended with a fatal alert (RFC 8446 6.2).
// close_notify is none: see Read.
type Alert struct {
	Code uint8
	Sent bool  // by us, not by the peer
	Err  error // what crypto/tls says
}

func (a *Alert) Error() string {
	who := "received"
	if a.Sent {
		who = "sent"
	}
	text := fmt.Sprintf("tls: %s alert %d (%s)", who, a.Code, strings.TrimPrefix(tls.AlertError(a.Code).Error(), "tls: "))
	var op *net.OpError
	if a.Err == nil || errors.As(a.Err, &op) {
		return text // crypto/tls says the same
	}
	return text + ": " + a.Err.Error()
}

// Unwrap returns Err.
func (a *Alert) Unwrap() error { return a.Err }

// named returns err, a final error of crypto/tls, as an Alert if it came with one.
func (s *Session) named(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		if code, sent, ok := alertOf(reflect.ValueOf(op)); ok {
			return &Alert{Code: code, Sent: sent, Err: err}
		}
	}
	if code, sent, ok := alertOf(outErr(s.tc)); ok {
		return &Alert{Code: code, Sent: sent, Err: err}
	}
	return err
}

// outErr returns the error that ended the sending half of tc, which is the alert
// it has sent: many an error that crypto/tls returns does not tell of it. The
// zero Value if there is none, or no such field.
func outErr(tc *tls.Conn) reflect.Value {
	out := reflect.ValueOf(tc).Elem().FieldByName("out")
	if out.Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return out.FieldByName("err")
}

// alertOf finds the *net.OpError in v, an error, and the alert in it.
func alertOf(v reflect.Value) (code uint8, sent, ok bool) {
	for v.IsValid() {
		switch v.Kind() {
		case reflect.Interface, reflect.Pointer:
			v = v.Elem()
			continue
		case reflect.Struct:
		default:
			return 0, false, false
		}
		err := v.FieldByName("err")
		if v.Type() != reflect.TypeFor[net.OpError]() {
			v = err // crypto/tls wraps it; the zero Value if not
			continue
		}
		op, a := v.FieldByName("Op").String(), v.FieldByName("Err").Elem()
		if a.Kind() != reflect.Uint8 || op != "local error" && op != "remote error" {
			return 0, false, false
		}
		return uint8(a.Uint()), op == "local error", true
	}
	return 0, false, false
}
