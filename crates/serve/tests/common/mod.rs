//! A real server over a small shop, and plain clients on sockets.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod client;
pub mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parking_lot::Mutex;
use sluice_core::{Delta, ManualClock, SimulatedDisk};
use sluice_serve::{
    ConnectionLimits, HttpLimits, HttpListener, HttpState, LiveFeed, Metrics, PanelDefinitions,
    PanelFile, Panels, PostgresListener, QueryEngine, QueryOptions, SnapshotSource, WarehouseInfo,
};
use sluice_store::{CollectionDefinition, Snapshot, Store, StoreOptions};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

pub const MINUTE_US: i64 = 60_000_000;

/// A panel that counts the orders, for tests of what becomes of a panel whatever
/// it shows.
pub const COUNT_PANEL: &str = r#"
title = { en = "Orders", zh = "订单" }
subject = "trade"
chart = "number"
query = "SELECT count(*) AS orders FROM orders"
"#;

/// An order: its number, its user, its amount in cents.
pub type Order = (i64, String, i64);

pub fn order_schema() -> SchemaRef {
    let utc: Arc<str> = "UTC".into();
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, false),
        Field::new("buyer", DataType::Utf8, true),
        Field::new("amount", DataType::Decimal128(16, 2), true),
        Field::new(
            "at",
            DataType::Timestamp(TimeUnit::Microsecond, Some(utc)),
            true,
        ),
        Field::new("day", DataType::Date32, true),
        Field::new("share", DataType::Float64, true),
    ]))
}

fn stock_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("sku", DataType::Utf8, false),
        Field::new("day", DataType::Date32, false),
        Field::new("pieces", DataType::Int64, true),
    ]))
}

/// The other columns follow from these three.
pub fn order_delta(changes: &[(Order, i64)]) -> Delta {
    let orders = || changes.iter().map(|(order, _)| order);
    let amounts: Decimal128Array = orders().map(|order| Some(i128::from(order.2))).collect();
    let times: TimestampMicrosecondArray =
        orders().map(|order| Some(order.0 * MINUTE_US)).collect();
    let shares = orders().map(|order| match order.0 % 7 {
        0 => None,
        1 => Some(f64::NAN),
        _ => Some(order.0 as f64 / 8.0),
    });
    let columns: Vec<ArrayRef> = vec![
        Arc::new(orders().map(|order| Some(order.0)).collect::<Int64Array>()),
        Arc::new(
            orders()
                .map(|order| (!order.1.is_empty()).then(|| order.1.clone()))
                .collect::<StringArray>(),
        ),
        Arc::new(amounts.with_precision_and_scale(16, 2).unwrap()),
        Arc::new(times.with_timezone("UTC")),
        Arc::new(
            orders()
                .map(|order| Some((order.0 % 1_000) as i32))
                .collect::<Date32Array>(),
        ),
        Arc::new(shares.collect::<Float64Array>()),
    ];
    let rows = RecordBatch::try_new(order_schema(), columns).unwrap();
    Delta::try_new(rows, changes.iter().map(|(_, weight)| *weight).collect()).unwrap()
}

pub fn stock_delta(rows: &[(&str, i32, i64)]) -> Delta {
    let skus: StringArray = rows.iter().map(|row| Some(row.0)).collect();
    let days: Date32Array = rows.iter().map(|row| Some(row.1)).collect();
    let pieces: Int64Array = rows.iter().map(|row| Some(row.2)).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(skus), Arc::new(days), Arc::new(pieces)];
    Delta::insert(RecordBatch::try_new(stock_schema(), columns).unwrap())
}

/// The store with its one writer, and what readers see.
pub struct Shop {
    store: Mutex<Store>,
    newest: Mutex<Snapshot>,
    pub live: Arc<LiveFeed>,
}

impl Shop {
    fn new() -> Self {
        let disk = SimulatedDisk::new(1);
        let (mut store, _) =
            Store::open(Arc::new(disk), Path::new("/store"), StoreOptions::default()).unwrap();
        let collection = |name: &str, schema, append_only, unique_key| CollectionDefinition {
            name: name.to_owned(),
            schema,
            append_only,
            unique_key,
        };
        store
            .define(vec![
                collection("orders", order_schema(), false, Some(vec![0])),
                collection("other_orders", order_schema(), false, Some(vec![0])),
                collection("stock", stock_schema(), false, Some(vec![0, 1])),
                collection("visits", stock_schema(), true, None),
            ])
            .unwrap();
        let snapshot = store.snapshot();
        Self {
            store: Mutex::new(store),
            newest: Mutex::new(snapshot.clone()),
            live: Arc::new(LiveFeed::new(snapshot)),
        }
    }

    /// Applies one epoch, as the pipeline does.
    pub fn apply(&self, deltas: BTreeMap<String, Delta>) -> u64 {
        let mut store = self.store.lock();
        let epoch = store.epoch() + 1;
        store.apply(epoch, &deltas).unwrap();
        let snapshot = store.snapshot();
        *self.newest.lock() = snapshot.clone();
        self.live.publish(epoch, &deltas, snapshot);
        epoch
    }

    pub fn apply_orders(&self, changes: &[(Order, i64)]) -> u64 {
        self.apply(BTreeMap::from([(
            "orders".to_owned(),
            order_delta(changes),
        )]))
    }

    pub fn snapshot(&self) -> Snapshot {
        self.newest.lock().clone()
    }
}

pub struct Options {
    pub query: QueryOptions,
    pub http: HttpLimits,
    pub connections: ConnectionLimits,
    /// Files of panels: name and text.
    pub panels: Vec<(String, String)>,
    pub sugar_token: Option<String>,
}

impl Options {
    /// What is usual, and panels of these names and texts.
    pub fn with_panels(panels: &[(&str, &str)]) -> Self {
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Self {
            panels: panels.iter().map(own).collect(),
            ..Self::default()
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        let query = QueryOptions {
            query_views: vec![(
                "big_orders".to_owned(),
                "SELECT id, amount FROM orders WHERE amount > 100".to_owned(),
            )],
            ..QueryOptions::default()
        };
        Self {
            query,
            http: HttpLimits::default(),
            connections: ConnectionLimits::default(),
            panels: Vec::new(),
            sugar_token: None,
        }
    }
}

pub struct Server {
    pub address: SocketAddr,
    pub postgres: SocketAddr,
    pub shop: Arc<Shop>,
    pub state: Arc<HttpState>,
    pub metrics: Arc<Metrics>,
    pub engine: Arc<QueryEngine>,
    _stop: Vec<oneshot::Sender<()>>,
    runtime: Option<Runtime>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Server {
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    pub fn start_with(options: Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let shop = Arc::new(Shop::new());
        let for_source = shop.clone();
        let source: SnapshotSource = Arc::new(move || for_source.snapshot());
        let metrics = Arc::new(Metrics::default());
        let query = QueryOptions {
            metrics: metrics.clone(),
            ..options.query
        };
        let engine = Arc::new(QueryEngine::new(source.clone(), query).unwrap());
        let info = WarehouseInfo {
            name: "little shop".to_owned(),
            time_zone: "Asia/Shanghai".to_owned(),
            currency: Some("CNY".to_owned()),
            views: BTreeSet::from(["stock".to_owned()]),
            docs: BTreeMap::from([(String::new(), "<h1>models</h1>".to_owned())]),
            models: "{\"models\":[]}".to_owned(),
            sugar_token: options.sugar_token.clone(),
            has_sample_shop: false,
        };
        let state = Arc::new(HttpState::new(
            engine.clone(),
            source,
            shop.live.clone(),
            metrics.clone(),
            info,
            options.http.clone(),
            Arc::new(ManualClock::new(1_500_000)),
        ));
        let files = options.panels.iter().map(|(name, text)| PanelFile {
            path: format!("panels/{name}.toml"),
            text: text.clone(),
        });
        let files: Vec<PanelFile> = files.collect();
        let definitions = PanelDefinitions::parse(&files, None).unwrap();
        state.set_panels(Panels::check(&definitions, &engine).unwrap());
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let mut stop = Vec::new();
        let listener = runtime.block_on(PostgresListener::bind(any)).unwrap();
        let postgres = listener.local_address();
        let (sender, stopped) = oneshot::channel();
        stop.push(sender);
        runtime.spawn(listener.serve(engine.clone(), async {
            let _ = stopped.await;
        }));
        let listener = runtime.block_on(HttpListener::bind(any)).unwrap();
        let listener = listener.with_limits(options.connections);
        let address = listener.local_address();
        let (sender, stopped) = oneshot::channel();
        stop.push(sender);
        runtime.spawn(listener.serve(sluice_serve::router(state.clone()), async {
            let _ = stopped.await;
        }));
        Self {
            address,
            postgres,
            shop,
            state,
            metrics,
            engine,
            _stop: stop,
            runtime: Some(runtime),
        }
    }
}
