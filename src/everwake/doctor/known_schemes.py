"""Schemes of URLs that are right as they stand, whatever they resemble: who wrote `smtps://` did not mean `https://`. Pure.

Sources: the registry of schemes (IANA, read 2026-11); what brokers, databases, caches and mailers of common libraries take
(Celery and kombu, SQLAlchemy, django-environ, Symfony's mailer, fsspec, rclone).
"""

import re

__all__ = ["CALLED_BARE", "KNOWN_SCHEMES", "is_known_scheme"]

KNOWN_SCHEMES = frozenset(
    re.findall(
        r"\S+",
        """
http https ws wss h2 h2c spdy quic doh dot httpu soap
redis rediss redis-sentinel redis-cluster sentinel valkey valkeys keydb unix npipe rediscache redis-cache
postgres postgresql postgis pgsql psql pg mysql mysql2 mysqlx mysqlgis mysql-connector mariadb sqlite sqlite3 spatialite libsql
mssql sqlserver oracle oracledb oraclegis mongodb cockroachdb cockroach cassandra scylla couchdb couchbase couchbases dynamodb
rethinkdb influx influxdb clickhouse clickhouses ch snowflake bigquery redshift redshift_connector databricks athena awsathena
trino presto druid hive impala db2 ibm_db_sa informix teradata vertica exasol exa memsql singlestore singlestoredb tidb yugabytedb
questdb arangodb surrealdb edgedb gel neo4j neo4js bolt bolts memgraph firebird hana sap duckdb motherduck turso d1 crate cratedb
timescale timescaledb prisma prisma-postgres ecto trilogy access pyodbc odbc jdbc dbase elasticsearch elastic opensearch es milvus
qdrant weaviate chroma typesense meilisearch solr firestore spanner planetscale xata iris monetdb starrocks doris opengauss
amqp amqps pyamqp librabbitmq qpid kafka kafkas confluentkafka pulsar nats natss tls stan nsq nsqd sqs sns gcpubsub pubsub
azureservicebus azurestoragequeues sb servicebus stomp stomps mqtt mqtts wamp zmq ipc inproc pgm epgm nng beanstalk beanstalkd
ironmq rpc memory cache filesystem mem null sync dummy zookeeper zk etcd etcds consul vault slmq pyro soft-serve disque temporal
celery doctrine messenger symfony beam gearman activemq artemis jms solace
smtp smtps submission lmtp imap imaps pop pop3 pop3s pop3-ssl nntp nntps snews news mailto email consolemail filemail memorymail
dummymail sendmail ses mailgun sendgrid postmark mandrill mailjet brevo resend sparkpost mailersend
rtmp rtmps rtmpe rtmpt rtmpte rtsp rtsps rtspu rtp rtcp srt srtp mms mmsh whip whep hls dash udp tcp tcps ssl tls dtls sctp
unixgram
ftp ftps ftpes sftp scp ssh tftp fish rsync dav davs webdav webdavs smb cifs nfs afp afs gopher gemini finger telnet telnets
rlogin
git svn hg bzr cvs github gitlab bitbucket gitea
ldap ldaps ldapi radius radsec kerberos krb5 saml openid oauth oidc acct did
coap coaps modbus opc bacnet snmp syslog syslogs gelf statsd graphite influxdb-line zipkin jaeger otlp grpc grpcs grpc-web thrift
sip sips sms smsto tel tels fax callto facetime skype xmpp irc ircs irc6 ircs6 matrix mx im pres stun stuns turn turns iax iax2
h323 msrp msrps
data file blob about javascript view-source urn uri doi isbn tag info cid mid uuid geo maps magnet ed2k ipfs ipns bzz dat hyper
bitcoin ethereum lightning torrent
s3 s3a s3n gs gcs az azure abfs abfss adl wasb wasbs azblob oss cos obs swift r2 b2 minio hdfs webhdfs viewfs dbfs gdrive onedrive
dropbox box ceph rados sharepoint hf docker docker-daemon oci containers-storage pip npm pypi conda cargo crates
docker-archive k8s kubernetes swarm fluxcd helm chart cloudinary imgix local locmem locmemcache dbcache filecache dummycache
memcache memcached pymemcache pymemcached djangopylibmc pymemcachecache array apcu apc
socks socks4 socks4a socks5 socks5h proxy shadowsocks ss ssr vmess vless trojan wireguard wg openvpn vnc rdp spice x11 rfb
chrome chrome-extension moz-extension safari-web-extension edge opera brave resource capacitor ionic app tauri vscode
vscode-insiders exp expo intent android-app ios-app itms itms-apps market play slack discord tg telegram whatsapp msteams zoommtg
zoomus spotify steam notion obsidian figma webcal webcals feed calendar caldav carddav nodered homeassistant esphome
ni nih pkcs11 tpm2 awskms gcpkms azurekms hashivault secretsmanager ssm env arn ark hdl lsid ws-discovery upnp ssdp dns mdns
dict dns-query wais z39.50 z39.50r z39.50s prospero xri reload rmi iiop corba dcom jar war ear class bundle mvn classpath
odbc-connect adodb dbi perl r2dbc ado net opcua opc.tcp net.tcp net.pipe amqp-ssl activitypub at nostr ens tezos ar arweave
""",
    )
)
# Those that stand without `//`: what follows the colon is theirs, and no password.
CALLED_BARE = re.compile(
    r"(?:mailto|tel|sms|smsto|fax|callto|data|urn|jdbc|r2dbc|sip|sips|xmpp|geo|magnet|about|blob|file|unix|acct|did|doi|tag|news"
    r"|view-source|bitcoin|ethereum|skype|facetime|whatsapp|tg|im|pres|stun|stuns|turn|turns|cid|mid|ldapi|arn|sqlite|javascript"
    r"|oci|docker|pkcs11|dns|at):(?!//)",
    re.IGNORECASE,
)


def is_known_scheme(scheme: str) -> bool:
    """Whether somebody speaks it: the word, or each part of `git+ssh`, `smtp+tls`, `redis+socket` that comes first or last."""
    plain = scheme.lower()
    first, _, rest = plain.partition("+")
    return plain in KNOWN_SCHEMES or first in KNOWN_SCHEMES or (rest != "" and rest.rpartition("+")[2] in KNOWN_SCHEMES)
