//! A stream of bytes to a server, in clear at first.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};

const CONNECT_TIME: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct ServerStream(Option<Stream>);

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl ServerStream {
    /// Connects to the first address of a machine that answers.
    ///
    /// # Errors
    /// When none does.
    pub fn connect(host: &str, port: u16) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for place in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&place, CONNECT_TIME) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Self(Some(Stream::Plain(stream))));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// From here on everything is encrypted.
    pub fn start_tls(&mut self, connection: ClientConnection) {
        self.0 = match self.0.take() {
            Some(Stream::Plain(tcp)) => {
                Some(Stream::Tls(Box::new(StreamOwned::new(connection, tcp))))
            }
            other => other,
        };
    }

    /// Whether what is sent is encrypted.
    pub fn is_encrypted(&self) -> bool {
        matches!(self.0, Some(Stream::Tls(_)))
    }

    /// How long a read waits.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_read_time(&self, time: Duration) -> io::Result<()> {
        match &self.0 {
            Some(Stream::Plain(tcp)) => tcp.set_read_timeout(Some(time)),
            Some(Stream::Tls(tls)) => tls.sock.set_read_timeout(Some(time)),
            None => Ok(()),
        }
    }

    /// The next byte of a stream in clear.
    ///
    /// # Errors
    /// When it does not come, or the stream is encrypted.
    pub fn plain_byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        match &mut self.0 {
            Some(Stream::Plain(tcp)) => tcp.read_exact(&mut byte)?,
            _ => return Err(io::Error::other("it is encrypted already")),
        }
        Ok(byte[0])
    }

    /// How many bytes came; `None` if none did in time.
    ///
    /// # Errors
    /// When the connection ends or breaks.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<Option<usize>> {
        let read = match &mut self.0 {
            Some(Stream::Plain(tcp)) => tcp.read(into),
            Some(Stream::Tls(tls)) => tls.read(into),
            None => Ok(0),
        };
        match read {
            Ok(0) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server closed the connection",
            )),
            Ok(count) => Ok(Some(count)),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Ok(None),
                io::ErrorKind::Interrupted => Ok(Some(0)),
                _ => Err(error),
            },
        }
    }

    /// Sends all of these bytes.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.0 {
            Some(Stream::Plain(tcp)) => tcp.write_all(bytes),
            Some(Stream::Tls(tls)) => tls.write_all(bytes).and_then(|()| tls.flush()),
            None => Ok(()),
        }
    }
}
