//! A connection of the PostgreSQL wire above the limit is told why it ends.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Connections that are told so at a time; others are closed at once.
pub(super) const REFUSED_AT_ONCE_MAX: usize = 100;
/// How long the client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(2);
/// A client asks for encryption first (SSLRequest, GSSENCRequest).
const ENCRYPTION_CODES: [i32; 2] = [80_877_103, 80_877_104];

/// Answers the first message with an error: SQLSTATE 53300, too_many_connections.
pub(super) async fn refuse(mut socket: TcpStream, connections_max: usize) {
    // A client that goes away needs no answer.
    let _ = timeout(PATIENCE, answer(&mut socket, connections_max)).await;
}

async fn answer(socket: &mut TcpStream, connections_max: usize) -> std::io::Result<()> {
    loop {
        let length = socket.read_i32().await?;
        let code = socket.read_i32().await?;
        let rest = usize::try_from(length).unwrap_or(0).saturating_sub(8);
        let mut rest = (&mut *socket).take(rest.min(1 << 14) as u64);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
        if !ENCRYPTION_CODES.contains(&code) {
            break;
        }
        socket.write_all(b"N").await?;
    }
    let text = format!("{connections_max} clients are connected already; come again later");
    let mut fields = Vec::new();
    for (kind, value) in [
        (b'S', "FATAL"),
        (b'V', "FATAL"),
        (b'C', "53300"),
        (b'M', &*text),
    ] {
        fields.push(kind);
        fields.extend_from_slice(value.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    socket.write_u8(b'E').await?;
    socket.write_i32(fields.len() as i32 + 4).await?;
    socket.write_all(&fields).await?;
    socket.shutdown().await
}
