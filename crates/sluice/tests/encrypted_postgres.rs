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
    let kafka = |servers: &str, more: &str| {
        world.sources("goods", &kafka(servers, more));
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

/// A Kafka source of one table.
fn kafka(servers: &str, more: &str) -> String {
    format!(
        "[topic.goods.capture]\nkind = \"kafka\"\nbootstrap_servers = [{servers}]\ntopics = [\"goods\"]\n{more}\n[table.goods]\ntopic = \"goods\"\ncolumns = [{{ name = \"id\", from = \"/id\", type = \"int64\" }}]\n"
    )
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_source_and_key() {
    let world = World::with("name = \"files\"\n");
    let project = world.project();
    make_certificates(world.folder());
    for name in ["authority.pem", "server.pem", "server.key"] {
        std::fs::copy(world.folder().join(name), project.join(name)).unwrap();
    }
    std::fs::write(project.join("empty.pem"), "").unwrap();
    let der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(project.join("damaged.pem"), der).unwrap();
    let check = || {
        let mut command = sluice();
        command.arg("check").arg(world.project());
        command
    };
    let path = |name: &str| project.join(name).display().to_string();
    let database = |kind: &str, authority: &str| {
        let more = match kind {
            "mysql" => "tables = [\"shop.*\"]",
            _ => "database = \"shop\"\npublications = [\"shop\"]",
        };
        format!(
            "[topic.shop.capture]\nkind = \"{kind}\"\nhost = \"127.0.0.1\"\nport = 1\nuser = \"sluice\"\ntls = \"verified\"\ntls_ca = \"{authority}\"\n{more}\n"
        )
    };
    for kind in ["mysql", "postgres"] {
        for (name, problem) in [
            ("missing.pem", "No such file"),
            ("empty.pem", "it holds no certificate"),
            ("server.key", "it holds no certificate"),
            ("damaged.pem", "a certificate in it is not understood"),
        ] {
            world.sources("shop", &database(kind, name));
            let said = fail(&mut check(), 2);
            let path = path(name);
            let wanted = format!("the source of topic `shop`, `tls_ca`: {path}: {problem}");
            assert!(said.contains(&wanted), "{said}");
            // Nor does it begin to run.
            let said = fail(&mut world.until_idle(), 2);
            assert!(said.contains(&wanted), "{said}");
        }
        world.sources("shop", &database(kind, "authority.pem"));
        assert!(output(&mut check()).status.success());
    }

    let own = "\"127.0.0.1:1\"";
    let identity = |authority: &str, certificate: &str, key: &str| {
        let more = format!(
            "tls = \"verified\"\ntls_ca = \"{authority}\"\ntls_certificate = \"file:{certificate}\"\ntls_key = \"file:{key}\""
        );
        world.sources("goods", &kafka(own, &more));
    };
    identity("missing.pem", "server.key", "server.pem");
    let said = fail(&mut check(), 2);
    for (key, name, problem) in [
        ("tls_ca", "missing.pem", "No such file"),
        ("tls_certificate", "server.key", "it holds no certificate"),
        ("tls_key", "server.pem", "it holds no private key"),
    ] {
        let path = path(name);
        let wanted = format!("the source of topic `goods`, `{key}`: {path}: {problem}");
        assert!(said.contains(&wanted), "{said}");
    }
    identity("authority.pem", "server.pem", "server.key");
    assert!(output(&mut check()).status.success());
    // A secret may be elsewhere, where the warehouse runs.
    identity("authority.pem", "server.pem", "missing.key");
    let checked = output(&mut check());
    assert!(checked.status.success());
    let said = String::from_utf8(checked.stderr).unwrap();
    let missing = path("missing.key");
    let wanted = format!("the source of topic `goods`, `tls_key`: {missing}, which holds a secret");
    assert!(said.contains(&wanted), "{said}");
    let property = "properties = { \"ssl.ca.location\" = \"/nowhere/ca.pem\" }";
    world.sources("goods", &kafka(own, property));
    let said = fail(&mut check(), 2);
    let wanted = "the source of topic `goods`, `ssl.ca.location`: /nowhere/ca.pem: No such file";
    assert!(said.contains(wanted), "{said}");

    world.sources("goods", &kafka(own, ""));
    let mail = "name = \"files\"\n[mail]\nserver = \"mail.example\"\nfrom = \"shop@mail.example\"\ncertificates = \"empty.pem\"\n";
    std::fs::write(project.join("warehouse.toml"), mail).unwrap();
    let said = fail(&mut check(), 2);
    let empty = path("empty.pem");
    let wanted =
        format!("[mail] of warehouse.toml, `certificates`: {empty}: it holds no certificate");
    assert!(said.contains(&wanted), "{said}");
}

#[test]
fn sources_that_change_are_told_of_as_those_of_the_start() {
    let world = World::with("name = \"changing\"\n");
    let open = "not encrypted on the way from";
    world.sources("goods", &kafka("\"127.0.0.1:1\"", ""));
    let running = world.start();
    assert!(!running.said().contains(open));
    let other = "\"127.0.0.1:1\", \"kafka1.invalid:9092\"";
    world.sources("goods", &kafka(other, ""));
    let wanted = format!("{open} kafka1.invalid:9092 (topic `goods`): ");
    wait("the warning", || running.said().contains(&wanted));

    // What says of its encryption what does not hold is refused.
    world.sources(
        "goods",
        &kafka(other, "tls = \"verified\"\ntls_ca = \"missing.pem\""),
    );
    let refused = "the source of topic `goods`, `tls_ca`: ";
    wait("the first refusal", || running.said().contains(refused));
    world.sources("goods", &kafka(other, "tls_ca = \"missing.pem\""));
    let unasked = "`tls_ca = \"missing.pem\"`, which only `tls = \"verified\"` checks";
    wait("the second refusal", || running.said().contains(unasked));

    // Another change does not tell it again, and others are told of.
    world.model(
        "one",
        "CREATE MATERIALIZED VIEW one AS SELECT count(*) AS number FROM goods",
    );
    world.sources("goods", &kafka(other, ""));
    let count = "SELECT count(*) FROM one";
    wait("the model", || world.is_answered(count).is_some());
    assert_eq!(running.said().matches(open).count(), 1);
    world.sources("goods", &kafka("\"kafka2.invalid:9092\"", ""));
    let wanted = format!("{open} kafka2.invalid:9092 (topic `goods`): ");
    wait("the other warning", || running.said().contains(&wanted));
    running.kill();
}
