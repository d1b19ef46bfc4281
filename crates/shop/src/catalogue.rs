//! What the shop sells, and where its customers live.

use crate::random::Random;

/// A province: name, region, area code, ISO 3166-2 code. Its id is its position
/// plus one.
pub(crate) struct Province {
    pub(crate) name: &'static str,
    pub(crate) region: u8,
    pub(crate) area_code: &'static str,
    pub(crate) iso: &'static str,
}

const fn province(
    name: &'static str,
    region: u8,
    area_code: &'static str,
    iso: &'static str,
) -> Province {
    Province {
        name,
        region,
        area_code,
        iso,
    }
}

/// Regions; an id is the position plus one.
pub(crate) const REGIONS: [&str; 7] = ["华北", "东北", "华东", "华中", "华南", "西南", "西北"];

/// The provinces by GB/T 2260.
pub(crate) const PROVINCES: [Province; 34] = [
    province("北京", 1, "110000", "CN-BJ"),
    province("天津", 1, "120000", "CN-TJ"),
    province("河北", 1, "130000", "CN-HE"),
    province("山西", 1, "140000", "CN-SX"),
    province("内蒙古", 1, "150000", "CN-NM"),
    province("辽宁", 2, "210000", "CN-LN"),
    province("吉林", 2, "220000", "CN-JL"),
    province("黑龙江", 2, "230000", "CN-HL"),
    province("上海", 3, "310000", "CN-SH"),
    province("江苏", 3, "320000", "CN-JS"),
    province("浙江", 3, "330000", "CN-ZJ"),
    province("安徽", 3, "340000", "CN-AH"),
    province("福建", 3, "350000", "CN-FJ"),
    province("江西", 3, "360000", "CN-JX"),
    province("山东", 3, "370000", "CN-SD"),
    province("河南", 4, "410000", "CN-HA"),
    province("湖北", 4, "420000", "CN-HB"),
    province("湖南", 4, "430000", "CN-HN"),
    province("广东", 5, "440000", "CN-GD"),
    province("广西", 5, "450000", "CN-GX"),
    province("海南", 5, "460000", "CN-HI"),
    province("重庆", 6, "500000", "CN-CQ"),
    province("四川", 6, "510000", "CN-SC"),
    province("贵州", 6, "520000", "CN-GZ"),
    province("云南", 6, "530000", "CN-YN"),
    province("西藏", 6, "540000", "CN-XZ"),
    province("陕西", 7, "610000", "CN-SN"),
    province("甘肃", 7, "620000", "CN-GS"),
    province("青海", 7, "630000", "CN-QH"),
    province("宁夏", 7, "640000", "CN-NX"),
    province("新疆", 7, "650000", "CN-XJ"),
    province("台湾", 3, "710000", "CN-TW"),
    province("香港", 5, "810000", "CN-HK"),
    province("澳门", 5, "820000", "CN-MO"),
];

/// Kinds of goods: name, category number, lowest price in cents.
const KINDS: [(&str, u64, i64); 24] = [
    ("Phone", 1, 99_900),
    ("Tablet", 1, 79_900),
    ("Headphones", 2, 9_900),
    ("Speaker", 2, 12_900),
    ("Laptop", 3, 299_900),
    ("Keyboard", 3, 8_900),
    ("Television", 4, 149_900),
    ("Kettle", 5, 5_900),
    ("Rice cooker", 5, 15_900),
    ("Vacuum cleaner", 5, 39_900),
    ("T-shirt", 6, 3_900),
    ("Jacket", 6, 19_900),
    ("Running shoes", 7, 24_900),
    ("Backpack", 7, 11_900),
    ("Lipstick", 8, 6_900),
    ("Face cream", 8, 12_900),
    ("Shampoo", 8, 3_500),
    ("Green tea", 9, 4_900),
    ("Coffee beans", 9, 5_900),
    ("Olive oil", 9, 6_900),
    ("Rice", 9, 2_990),
    ("Picture book", 10, 2_500),
    ("Building blocks", 10, 14_900),
    ("Desk lamp", 5, 7_900),
];

/// Categories of the first, second and third level.
pub(crate) const CATEGORIES_1: [&str; 4] = ["Electronics", "Home", "Fashion", "Daily life"];
pub(crate) const CATEGORIES_2: [(&str, u64); 6] = [
    ("Mobile", 1),
    ("Computing", 1),
    ("Appliances", 2),
    ("Clothing", 3),
    ("Beauty", 4),
    ("Food and books", 4),
];
pub(crate) const CATEGORIES_3: [(&str, u64); 10] = [
    ("Phones and tablets", 1),
    ("Audio", 1),
    ("Computers", 2),
    ("Televisions", 3),
    ("Small appliances", 3),
    ("Clothes", 4),
    ("Sports", 4),
    ("Care", 5),
    ("Groceries", 6),
    ("Children", 6),
];

/// Brands, none of which exists.
pub(crate) const BRANDS: [&str; 12] = [
    "Aldera", "Bexo", "Corvin", "Dunelit", "Elmaro", "Fenwil", "Garuno", "Hestal", "Ivoria",
    "Jolenta", "Kestrin", "Lumiva",
];

/// Channels through which the app was installed.
pub(crate) const CHANNELS: [&str; 8] = [
    "appstore",
    "huawei",
    "xiaomi",
    "oppo",
    "vivo",
    "wandoujia",
    "web",
    "mini_program",
];

/// Goods of one kind, brand and variant.
pub(crate) struct Sku {
    pub(crate) id: u64,
    pub(crate) spu_id: u64,
    pub(crate) name: String,
    pub(crate) category3: u64,
    pub(crate) brand: u64,
    pub(crate) price_cents: i64,
}

/// Variants of one product.
pub(crate) const SKUS_PER_SPU: u64 = 3;
const VARIANTS: [&str; SKUS_PER_SPU as usize] = ["S", "M", "L"];

/// A name after it was changed.
pub(crate) fn renamed(name: &str) -> String {
    format!("{name} Neo")
}

/// The name of goods: the first one, or the one after it was changed.
pub(crate) fn sku_name(id: u64, is_renamed: bool) -> String {
    let name = sku(id).name;
    match is_renamed {
        true => renamed(&name),
        false => name,
    }
}

/// The goods, from their number alone.
pub(crate) fn sku(id: u64) -> Sku {
    let spu_id = (id - 1) / SKUS_PER_SPU + 1;
    let variant = (id - 1) % SKUS_PER_SPU;
    // A generator of their own: goods do not change when something else draws.
    let mut random = Random::new(spu_id.wrapping_mul(0x5851_f42d_4c95_7f2d));
    let (kind, category3, lowest) = *random.choose(&KINDS);
    let brand = random.below(BRANDS.len() as u64) + 1;
    let model = random.between(10, 99);
    let price = lowest + random.between(0, lowest / 100) * 50;
    let name = format!(
        "{} {kind} {model} {}",
        BRANDS[brand as usize - 1],
        VARIANTS[variant as usize]
    );
    Sku {
        id,
        spu_id,
        name,
        category3,
        brand,
        price_cents: price + price / 10 * variant as i64,
    }
}
