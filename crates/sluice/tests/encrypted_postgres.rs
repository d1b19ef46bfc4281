//! The real program reads a PostgreSQL server that takes encrypted connections
//! only: what its source says of authorities decides whether it does. And what is
//! told of connections that are not encrypted, or not checked as it looks.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, waits, and writes files"
)]

#[path = "../../mysql/tests/common/certificates.rs"]
mod certificates;
mod common;
#[path = "../../postgres/tests/common/mod.rs"]
mod postgres;
#[path = "common/world.rs"]
mod world;

use certificates::make_certificates;
use common::{ask, fail, output, sluice};
use world::{World, wait};

fn sources(server: &postgres::Server, tls: &str) -> String {
    let port = server.address.port;
    format!(
        r#"[topic.shop.capture]
kind = "postgres"
host = "127.0.0.1"
port = {port}
database = "shop"
user = "admin"
publications = ["sluice"]
{tls}

[table.goods]
topic = "shop"
when = [{{ field = "/table", equals = "goods" }}]
row = "/data"
before = "/old"
primary_key = ["id"]
change_kind = {{ field = "/type", insert = ["insert", "bootstrap-insert"], update = ["update"], delete = ["delete"] }}
columns = [
  {{ name = "id", from = "./id", type = "int64" }},
  {{ name = "name", from = "./name", type = "string", missing = "null" }},
]
"#
    )
}

#[test]
fn a_server_is_read_that_the_authorities_of_the_project_vouch_for() {
    let Some(mut server) = postgres::Server::start(&[]) else {
        return;
    };
    let world = World::with("name = \"encrypted\"\n");
    make_certificates(world.folder());
    server.encrypt(world.folder());
    for name in ["authority.pem", "other.pem"] {
        let to = world.project().join(name);
        std::fs::copy(world.folder().join(name), to).unwrap();
    }
    server.run("CREATE TABLE goods (id bigint PRIMARY KEY, name text)");
    server.run("INSERT INTO goods VALUES (1, 'tea'), (2, 'rice')");

    // Authorities that would not be asked.
    let unasked = sources(&server, "tls = \"required\"\ntls_ca = \"authority.pem\"");
    world.sources("shop", &unasked);
    let error = fail(&mut world.until_idle(), 2);
    let wanted = "`tls_ca = \"authority.pem\"`, which only `tls = \"verified\"` checks";
    assert!(error.contains(wanted), "{error}");

    // Files are seen from the project. Whom the authority does not vouch for
    // gives nothing; the warehouse answers all the same, and says why.
    let verified =
        |name: &str| sources(&server, &format!("tls = \"verified\"\ntls_ca = \"{name}\""));
    world.sources("shop", &verified("other.pem"));
    let running = world.start();
    let unknown = "the server's certificate is of no authority that is known";
    wait("the warning", || running.said().contains(unknown));
    assert_eq!(ask(&world.state(), "SELECT count(*) FROM goods"), ["0"]);
    assert!(running.stop().success());

    world.sources("shop", &verified("authority.pem"));
    let running = world.start();
    let names = "SELECT count(*), min(name), max(name) FROM goods";
    wait("the copy", || world.says(names, "2,rice,tea"));
    server.run("UPDATE goods SET name = 'salt' WHERE id = 1; INSERT INTO goods VALUES (3, 'oil')");
    wait("the changes", || world.says(names, "3,oil,salt"));
    running.kill();
}

#[test]
fn what_says_of_its_encryption_what_does_not_hold_is_told() {
    let world = World::with("name = \"told\"\n");
    let table = "[table.goods]\ntopic = \"goods\"\ncolumns = [{ name = \"id\", from = \"/id\", type = \"int64\" }]\n";
    let kafka = |servers: &str, more: &str| {
        let text = format!(
            "[topic.goods.capture]\nkind = \"kafka\"\nbootstrap_servers = [{servers}]\ntopics = [\"goods\"]\n{more}\n{table}"
        );
        world.sources("goods", &text);
    };
    let check = || {
        let mut command = sluice();
        command.arg("check").arg(world.project());
        command
    };
    let own = "\"127.0.0.1:1\", \"localhost:1\"";
    kafka(own, "tls = \"required\"\ntls_ca = \"authority.pem\"");
    let wanted = "`tls_ca = \"authority.pem\"`, which only `tls = \"verified\"` checks";
    let error = fail(&mut check(), 2);
    assert!(error.contains(wanted), "{error}");
    let error = fail(&mut world.until_idle(), 2);
    assert!(error.contains(wanted), "{error}");

    let said = |servers: &str, more: &str| {
        kafka(servers, more);
        let output = output(&mut check());
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let open = "not encrypted on the way from";
    assert!(!said(own, "").contains(open));
    let other = "\"127.0.0.1:1\", \"kafka1.example:9092\"";
    assert!(!said(other, "tls = \"verified\"").contains(open));
    let warning = said(other, "");
    let wanted = format!("{open} kafka1.example:9092 (topic `goods`): ");
    assert!(warning.contains(&wanted), "{warning}");

    // A database may be far away, too.
    let far = "[topic.shop.capture]\nkind = \"mysql\"\nhost = \"192.0.2.1\"\nfailover = [\"db2.example:3306\"]\nuser = \"sluice\"\ntables = [\"shop.*\"]\n";
    world.sources("shop", far);
    let warning = said(own, "");
    let wanted = format!("{open} 192.0.2.1 (topic `shop`), db2.example:3306 (topic `shop`): ");
    assert!(warning.contains(&wanted), "{warning}");
}
