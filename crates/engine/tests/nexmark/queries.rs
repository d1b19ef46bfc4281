//! The queries of Nexmark that need no processing time, q0 to q22 without q12.
//! The side input of q13 is a table. Bids have a number of their own, so that
//! ranks do not depend on which of two equal bids comes first.
//!
//! `TUMBLE`, `HOP` and `SESSION` stand for the windows of the engine, or for
//! the same written out for a batch engine.

/// Name and SELECT.
pub const QUERIES: [(&str, &str); 22] = [
    ("q0", "SELECT auction, bidder, price, date_time, extra FROM bid"),
    (
        "q1",
        "SELECT auction, bidder, CAST('0.908' AS DECIMAL(4, 3)) * price AS price, date_time, extra FROM bid",
    ),
    ("q2", "SELECT auction, price FROM bid WHERE auction % 4 = 1"),
    (
        "q3",
        "SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id
         WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')",
    ),
    (
        "q4",
        "SELECT category, avg(final) AS final FROM (
           SELECT max(b.price) AS final, a.category FROM auction a JOIN bid b ON a.id = b.auction
           WHERE b.date_time BETWEEN a.date_time AND a.expires GROUP BY a.id, a.category) q
         GROUP BY category",
    ),
    (
        "q5",
        "WITH counts AS (SELECT auction, count(*) AS num, window_start, window_end
           FROM HOP GROUP BY auction, window_start, window_end)
         SELECT c.auction, c.num, c.window_start FROM counts c
         JOIN (SELECT max(num) AS most, window_start, window_end FROM counts GROUP BY window_start, window_end) m
         ON c.window_start = m.window_start AND c.window_end = m.window_end AND c.num >= m.most",
    ),
    (
        "q6",
        "SELECT seller, date_time, avg(final) OVER (PARTITION BY seller ORDER BY date_time, id ROWS BETWEEN 10 PRECEDING AND CURRENT ROW) AS mean
         FROM (SELECT a.id, a.seller, b.price AS final, b.date_time,
             row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time, b.id) AS place
           FROM auction a JOIN bid b ON a.id = b.auction WHERE b.date_time BETWEEN a.date_time AND a.expires) q
         WHERE place = 1",
    ),
    (
        "q7",
        "SELECT b.auction, b.price, b.bidder, b.date_time FROM TUMBLE b
         JOIN (SELECT max(price) AS most, window_start FROM TUMBLE GROUP BY window_start) m
         ON b.price = m.most AND b.window_start = m.window_start",
    ),
    (
        "q8",
        "SELECT p.id, p.name, p.window_start FROM
           (SELECT id, name, window_start FROM TUMBLE_PERSON GROUP BY id, name, window_start) p
         JOIN (SELECT seller, window_start FROM TUMBLE_AUCTION GROUP BY seller, window_start) a
         ON p.id = a.seller AND p.window_start = a.window_start",
    ),
    (
        "q9",
        "SELECT id, item, seller, category, auction, bidder, price, bid_time FROM (
           SELECT a.id, a.item, a.seller, a.category, b.auction, b.bidder, b.price, b.date_time AS bid_time,
             row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.date_time, b.id) AS place
           FROM auction a JOIN bid b ON a.id = b.auction WHERE b.date_time BETWEEN a.date_time AND a.expires) q
         WHERE place <= 1",
    ),
    (
        "q10",
        "SELECT auction, bidder, price, date_time, extra, to_char(date_time, '%Y-%m-%d') AS dt, to_char(date_time, '%H:%M') AS hm FROM bid",
    ),
    (
        "q11",
        "SELECT bidder, count(*) AS bids, window_start, window_end FROM SESSION GROUP BY bidder, window_start, window_end",
    ),
    (
        "q13",
        "SELECT b.auction, b.bidder, b.price, b.date_time, s.value FROM bid b JOIN side s ON b.auction % 10 = s.key",
    ),
    (
        "q14",
        "SELECT auction, bidder, CAST('0.908' AS DECIMAL(4, 3)) * price AS price,
           CASE WHEN date_part('second', date_trunc('second', date_time)) BETWEEN 8 AND 18 THEN 'dayTime'
                WHEN date_part('second', date_trunc('second', date_time)) <= 6 OR date_part('second', date_trunc('second', date_time)) >= 20 THEN 'nightTime'
                ELSE 'otherTime' END AS bid_time_type,
           date_time, length(extra) - length(replace(extra, 'c', '')) AS c_counts
         FROM bid WHERE CAST('0.908' AS DECIMAL(4, 3)) * price > 30 AND CAST('0.908' AS DECIMAL(4, 3)) * price < 900",
    ),
    (
        "q15",
        "SELECT to_char(date_time, '%H:%M') AS day, count(*) AS total,
           count(*) FILTER (WHERE price < 100) AS rank1, count(*) FILTER (WHERE price >= 100 AND price < 500) AS rank2,
           count(*) FILTER (WHERE price >= 500) AS rank3, count(DISTINCT bidder) AS bidders,
           count(DISTINCT bidder) FILTER (WHERE price < 100) AS bidders1,
           count(DISTINCT auction) AS auctions, count(DISTINCT auction) FILTER (WHERE price >= 500) AS auctions3
         FROM bid GROUP BY to_char(date_time, '%H:%M')",
    ),
    (
        "q16",
        "SELECT channel, to_char(date_time, '%H:%M') AS day, max(to_char(date_time, '%M:%S')) AS minute,
           count(*) AS total, count(*) FILTER (WHERE price < 100) AS rank1,
           count(DISTINCT bidder) AS bidders, count(DISTINCT bidder) FILTER (WHERE price >= 100 AND price < 500) AS bidders2,
           count(DISTINCT auction) AS auctions
         FROM bid GROUP BY channel, to_char(date_time, '%H:%M')",
    ),
    (
        "q17",
        "SELECT auction, to_char(date_time, '%H:%M') AS day, count(*) AS total,
           count(*) FILTER (WHERE price < 100) AS rank1, min(price) AS min_price, max(price) AS max_price,
           avg(price) AS avg_price, sum(price) AS sum_price
         FROM bid GROUP BY auction, to_char(date_time, '%H:%M')",
    ),
    (
        "q18",
        "SELECT auction, bidder, price, channel, url, date_time, extra FROM (
           SELECT *, row_number() OVER (PARTITION BY bidder, auction ORDER BY date_time DESC, id) AS place FROM bid) q
         WHERE place <= 1",
    ),
    (
        "q19",
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, id) AS place FROM bid) q
         WHERE place <= 10",
    ),
    (
        "q20",
        "SELECT b.auction, b.bidder, b.price, b.channel, b.url, b.date_time, a.item, a.date_time AS auction_time, a.seller, a.category
         FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10",
    ),
    (
        "q21",
        "SELECT auction, bidder, price, channel,
           CASE WHEN lower(channel) = 'apple' THEN '0' WHEN lower(channel) = 'google' THEN '1'
                WHEN lower(channel) = 'facebook' THEN '2'
                ELSE regexp_replace(url, '^.*channel_id=([0-9]*).*$', '\\1') END AS channel_id
         FROM bid WHERE url LIKE '%channel_id=%' OR lower(channel) IN ('apple', 'google', 'facebook')",
    ),
    (
        "q22",
        "SELECT auction, bidder, price, channel, split_part(url, '/', 4) AS dir1, split_part(url, '/', 5) AS dir2, split_part(url, '/', 6) AS dir3 FROM bid",
    ),
];

/// Each window: its sign, what the engine reads, and the same in plain SQL.
const WINDOWS: [(&str, &str, &str); 5] = [
    (
        "TUMBLE_PERSON",
        "tumble(person, date_time, INTERVAL '10 seconds')",
        "(SELECT *, date_bin(INTERVAL '10 seconds', date_time) AS window_start FROM person)",
    ),
    (
        "TUMBLE_AUCTION",
        "tumble(auction, date_time, INTERVAL '10 seconds')",
        "(SELECT *, date_bin(INTERVAL '10 seconds', date_time) AS window_start FROM auction)",
    ),
    (
        "TUMBLE",
        "tumble(bid, date_time, INTERVAL '10 seconds')",
        "(SELECT *, date_bin(INTERVAL '10 seconds', date_time) AS window_start FROM bid)",
    ),
    (
        "HOP",
        "hop(bid, date_time, INTERVAL '2 seconds', INTERVAL '10 seconds')",
        "(SELECT auction, start AS window_start, start + INTERVAL '10 seconds' AS window_end FROM (
            SELECT auction, date_bin(INTERVAL '2 seconds', date_time) - n AS start
            FROM bid CROSS JOIN (VALUES (INTERVAL '0 seconds'), (INTERVAL '2 seconds'), (INTERVAL '4 seconds'), (INTERVAL '6 seconds'), (INTERVAL '8 seconds')) AS steps(n)) AS hops)",
    ),
    (
        "SESSION",
        "session(bid, bidder, date_time, INTERVAL '3 seconds')",
        "(SELECT bidder, min(date_time) OVER (PARTITION BY bidder, number) AS window_start,
            max(date_time) OVER (PARTITION BY bidder, number) + INTERVAL '3 seconds' AS window_end FROM (
              SELECT bidder, date_time, sum(is_first) OVER (PARTITION BY bidder ORDER BY date_time, id) AS number FROM (
                SELECT bidder, date_time, id, CASE WHEN date_time < lag(date_time) OVER (PARTITION BY bidder ORDER BY date_time, id) + INTERVAL '3 seconds' THEN 0 ELSE 1 END AS is_first
                FROM bid) AS marked) AS numbered)",
    ),
];

/// The text for the engine, or for DataFusion.
pub fn text(select: &str, is_batch: bool) -> String {
    let mut text = select.to_owned();
    for (sign, window, plain) in WINDOWS {
        let written = if is_batch { plain } else { window };
        text = text.replace(&format!("{sign} b\n"), &format!("{written} AS b\n"));
        text = text.replace(&format!("{sign} "), &format!("{written} AS windowed "));
    }
    text
}
