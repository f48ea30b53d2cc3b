//go:build linux || darwin || freebsd

package evioloop

import (
	"fmt"
	"io"
	"reflect"

	"github.com/tidwall/evio"
)

// evio hands out neither descriptors nor its loops. Both are fields of its types,
// which have not changed since 2020; reading an integer or the address of an
// unexported field needs no unsafe. Types that do not look as expected are
// refused.

const evioPath = "github.com/tidwall/evio"

// insides returns the struct that v points to, if it is evio's type of that name.
func insides(v any, name string) (reflect.Value, error) {
	r := reflect.ValueOf(v)
	if r.Kind() != reflect.Pointer || r.IsNil() || r.Elem().Kind() != reflect.Struct ||
		r.Type().Elem().PkgPath() != evioPath || r.Type().Elem().Name() != name {
		return reflect.Value{}, fmt.Errorf("%w: %T", ErrShape, v)
	}
	return r.Elem(), nil
}

// field returns a field of a kind.
func field(s reflect.Value, name string, kind reflect.Kind) (reflect.Value, error) {
	f := s.FieldByName(name)
	if f.Kind() != kind {
		return reflect.Value{}, fmt.Errorf("%w: %s has no field %s that is a %s", ErrShape, s.Type(), name, kind)
	}
	return f, nil
}

// loopOf returns the identity of the evio loop that a connection is on.
func loopOf(c evio.Conn) (uintptr, error) {
	s, err := insides(c, "conn")
	if err != nil {
		return 0, err
	}
	f, err := field(s, "loop", reflect.Pointer)
	if err != nil {
		return 0, err
	}
	return f.Pointer(), nil
}

// fdOf returns the descriptor of a connection.
func fdOf(c evio.Conn) (int, error) {
	s, err := insides(c, "conn")
	if err != nil {
		return -1, err
	}
	f, err := field(s, "fd", reflect.Int)
	if err != nil {
		return -1, err
	}
	return int(f.Int()), nil
}

// detachedFD returns the descriptor of what evio gives to Detached.
func detachedFD(rwc io.ReadWriteCloser) (int, error) {
	s, err := insides(rwc, "detachedConn")
	if err != nil {
		return -1, err
	}
	f, err := field(s, "fd", reflect.Int)
	if err != nil {
		return -1, err
	}
	return int(f.Int()), nil
}
