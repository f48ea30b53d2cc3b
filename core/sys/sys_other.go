//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package sys

import (
	"net"
	"syscall"
)

// Read is not supported here.
func (io *IO) Read(int, []byte) (int, syscall.Errno) { return 0, syscall.ENOSYS }

// Write is not supported here.
func (io *IO) Write(int, []byte, []byte) (int, syscall.Errno) { return 0, syscall.ENOSYS }

// Accept is not supported here.
func (io *IO) Accept(int) (int, Addr, syscall.Errno) { return -1, Addr{}, syscall.ENOSYS }

// Peek is not supported here.
func (io *IO) Peek(int) (int, syscall.Errno) { return 0, syscall.ENOSYS }

// HungUp is not supported here.
func (io *IO) HungUp(int) bool { return false }

// SockError is not supported here.
func (io *IO) SockError(int) syscall.Errno { return 0 }

// Connect is not supported here.
func Connect(ConnectOptions) (int, error) { return -1, ErrUnsupported }

// Connected is not supported here.
func (io *IO) Connected(int) syscall.Errno { return syscall.ENOSYS }

// CloseWrite is not supported here.
func (io *IO) CloseWrite(int) error { return ErrUnsupported }

// Close is not supported here.
func (io *IO) Close(int) error { return ErrUnsupported }

// Adopt is not supported here.
func Adopt(int) error { return ErrUnsupported }

// IsTCP is false.
func IsTCP(int) bool { return false }

// FileLimit is not supported here.
func FileLimit() (uint64, error) { return 0, ErrUnsupported }

// ListenAll is not supported here.
func ListenAll(ListenOptions) ([]int, string, error) { return nil, "", ErrUnsupported }

// PathID finds nothing.
func PathID(string) FileID { return FileID{} }

// RemovePath is not supported here.
func RemovePath(string, FileID) error { return ErrUnsupported }

// BindToDevice is not supported here.
func BindToDevice(int, string) error { return ErrUnsupported }

// FromListener is not supported here.
func FromListener(net.Listener) (int, error) { return -1, ErrUnsupported }

// ListenNoDelay is not supported here.
func ListenNoDelay(int) bool { return false }

// SetNoDelay is not supported here.
func SetNoDelay(int, bool) error { return ErrUnsupported }

// SetKeepAlive is not supported here.
func SetKeepAlive(int, seconds, seconds, int) error { return ErrUnsupported }

// Doorbell is not supported here.
type Doorbell struct{}

// NewDoorbell is not supported here.
func NewDoorbell() (*Doorbell, error) { return nil, ErrUnsupported }

// FD returns -1.
func (*Doorbell) FD() int { return -1 }

// Ring does nothing.
func (*Doorbell) Ring() {}

// Clear does nothing.
func (*Doorbell) Clear() {}

// Close does nothing.
func (*Doorbell) Close() error { return nil }
