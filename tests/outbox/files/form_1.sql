PRAGMA application_id=1399156312;
PRAGMA user_version=1;
BEGIN TRANSACTION;
CREATE TABLE about(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO "about" VALUES('name','0a1b2c3d');
CREATE TABLE delivered(given_id TEXT PRIMARY KEY, digest BLOB, at REAL NOT NULL) WITHOUT ROWID;
INSERT INTO "delivered" VALUES('hook-0',X'00112233445566778899AABBCCDDEEFF',4102444800.0);
CREATE TABLE failed(
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,                    -- dead, or uncertain
    put_at REAL NOT NULL,
    failed_at REAL NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT NOT NULL,
    payload TEXT NOT NULL,
    given_id TEXT,
    digest BLOB
);
INSERT INTO "failed" VALUES(1,'dead',1764280001.0,1764280100.0,1,'UnprocessableEntityError: 422 no','{"version":1,"operation":"identify_contact","request":{"email":"refused@example.com","firstName":"R"}}',NULL,NULL);
INSERT INTO "failed" VALUES(2,'uncertain',1764280002.0,1764280100.0,1,'ResponseLost: gone','{"version":1,"operation":"track_custom_event","request":{"identifier":"uncertain@example.com","name":"paid","data":{"n":1},"time":1764280000}}','hook-1',X'80AA35A95C1FDF1C6845955F02DC9805');
CREATE TABLE pending(
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order in which they were put
    put_at REAL NOT NULL,
    payload TEXT NOT NULL,
    given_id TEXT,                         -- the caller's own delivery id
    digest BLOB,                           -- of the request that came with it
    is_under_way INTEGER                   -- 1 while it is sent, if it must not be sent twice
);
INSERT INTO "pending" VALUES(3,1764280003.0,'{"version":1,"operation":"identify_contact","request":{"email":"jane@example.com","firstName":"Jane","tags":["new"],"customFields":{"Plan":"Premium"}}}',NULL,NULL,NULL);
INSERT INTO "pending" VALUES(4,1764280004.0,'{"version":1,"operation":"track_contact","request":{"email":"Jane@Example.com","addTags":["vip"]}}','hook-2',X'CFAEA6298214A0C2A9BD7F89E8F69A48',NULL);
INSERT INTO "pending" VALUES(5,1764280005.0,'{"version":1,"operation":"track_custom_event","request":{"identifier":"jane@example.com","name":"signup","data":{"plan":"pro"},"time":1764280001}}',NULL,NULL,NULL);
INSERT INTO "pending" VALUES(6,1764280006.0,'{"version":1,"operation":"track_revenue_event","request":{"identifier":"jane@example.com","amount":9.5,"source":"shop","time":1764280002}}',NULL,NULL,NULL);
INSERT INTO "pending" VALUES(7,1764280007.0,'{"version":1,"operation":"identify_contact","request":{"email":"jane@example.com","newEmail":"Jane.Smith@example.com"}}',NULL,NULL,NULL);
INSERT INTO "pending" VALUES(8,1764280008.0,'{"version":1,"operation":"track_contact","request":{"email":"jane.smith@example.com","addTags":["renamed"]}}',NULL,NULL,NULL);
INSERT INTO "pending" VALUES(9,1764280009.0,'{"version":1,"operation":"identify_contact","request":{"email":"m\u00fcller@example.com","customFields":{"Visits":"++1"}}}',NULL,NULL,NULL);
INSERT INTO "pending" VALUES(10,1764280010.0,'{"version":1,"operation":"track_contact","request":{"addTags":["nobody"]}}',NULL,NULL,NULL);
INSERT INTO "pending" VALUES(11,1764280011.0,'{"version":1,"operation":"identify_contact","request":{"email":"damaged@example.com"',NULL,NULL,NULL);
INSERT INTO "pending" VALUES(12,1764280012.0,'{"version":1,"operation":"identify_contact","request":{"email":"joe@example.com","timezone":"Europe/Berlin"}}',NULL,NULL,NULL);
CREATE UNIQUE INDEX pending_given_id ON pending(given_id) WHERE given_id IS NOT NULL;
CREATE INDEX pending_under_way ON pending(is_under_way) WHERE is_under_way = 1;
CREATE UNIQUE INDEX failed_given_id ON failed(given_id) WHERE given_id IS NOT NULL;
CREATE INDEX failed_kind ON failed(kind);
CREATE INDEX delivered_at ON delivered(at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('pending',12);
COMMIT;
