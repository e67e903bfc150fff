-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
/*!50503 SET NAMES utf8mb4 */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;

DROP TABLE IF EXISTS `admin`;
CREATE TABLE `admin` (
  `username` varchar(255) NOT NULL,
  `password` varchar(255) NOT NULL,
  `superadmin` tinyint(1) NOT NULL DEFAULT '0',
  PRIMARY KEY (`username`)
) ENGINE=InnoDB COMMENT='Postfix Admin - Virtual Admins';
INSERT INTO `admin` VALUES ('root@example.org','$1$secret',1);

DROP TABLE IF EXISTS `alias`;
CREATE TABLE `alias` (
  `address` varchar(255) NOT NULL,
  `goto` text NOT NULL,
  `domain` varchar(255) NOT NULL,
  `created` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `modified` datetime NOT NULL DEFAULT '2000-01-01 00:00:00',
  `active` tinyint(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (`address`),
  KEY `domain` (`domain`)
) ENGINE=InnoDB COMMENT='Postfix Admin - Virtual Aliases';
INSERT INTO `alias` VALUES ('ana@example.org','ana@example.org','example.org','2024-01-31 12:00:00','2024-01-31 12:00:00',1),('bob@example.org','bob@example.org,bob#example.org@autoreply.example.org','example.org','2024-01-31 12:00:00','2024-01-31 12:00:00',1),('team@example.org','ana@example.org,\r\nbob@example.org,\r\n','example.org','2024-01-31 12:00:00','2024-01-31 12:00:00',1),('old@example.org','ana@example.org','example.org','2024-01-31 12:00:00','2024-01-31 12:00:00',0),('@example.org','ana@example.org','example.org','2024-01-31 12:00:00','2024-01-31 12:00:00',1),('abuse@backup.example','ana@example.org','backup.example','2024-01-31 12:00:00','2024-01-31 12:00:00',1);

DROP TABLE IF EXISTS `alias_domain`;
CREATE TABLE `alias_domain` (
  `alias_domain` varchar(255) NOT NULL,
  `target_domain` varchar(255) NOT NULL,
  `created` datetime NOT NULL,
  `modified` datetime NOT NULL,
  `active` tinyint(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (`alias_domain`)
) ENGINE=InnoDB COMMENT='Postfix Admin - Domain Aliases';
INSERT INTO `alias_domain` VALUES ('example.net','example.org','2024-01-31 12:00:00','2024-01-31 12:00:00',1);

DROP TABLE IF EXISTS `domain`;
CREATE TABLE `domain` (
  `domain` varchar(255) NOT NULL,
  `description` varchar(255) CHARACTER SET utf8mb4 NOT NULL,
  `aliases` int NOT NULL DEFAULT '0',
  `mailboxes` int NOT NULL DEFAULT '0',
  `maxquota` bigint NOT NULL DEFAULT '0',
  `quota` bigint NOT NULL DEFAULT '0',
  `transport` varchar(255) NOT NULL,
  `backupmx` tinyint(1) NOT NULL DEFAULT '0',
  `created` datetime NOT NULL,
  `modified` datetime NOT NULL,
  `active` tinyint(1) NOT NULL DEFAULT '1',
  `password_expiry` int DEFAULT '0',
  PRIMARY KEY (`domain`)
) ENGINE=InnoDB COMMENT='Postfix Admin - Virtual Domains';
INSERT INTO `domain` VALUES ('ALL','',0,0,0,0,'',0,'2024-01-31 12:00:00','2024-01-31 12:00:00',1,0),('backup.example','',0,0,0,0,'virtual',1,'2024-01-31 12:00:00','2024-01-31 12:00:00',1,0),('example.net','Büro; \"alt\"',10,0,0,0,'virtual',0,'2024-01-31 12:00:00','2024-01-31 12:00:00',1,0),('example.org','',10,2,100,500,'lmtp:unix:private/dovecot-lmtp',0,'2024-01-31 12:00:00','2024-01-31 12:00:00',1,0);

DROP TABLE IF EXISTS `log`;
CREATE TABLE `log` (
  `timestamp` datetime NOT NULL,
  `username` varchar(255) NOT NULL,
  `data` text NOT NULL,
  KEY `timestamp` (`timestamp`)
) ENGINE=InnoDB COMMENT='Postfix Admin - Log';
INSERT INTO `log` VALUES ('2024-01-31 12:00:00','root@example.org','create_domain (a);'),('2024-01-31 12:00:00','root@example.org','x');

DROP TABLE IF EXISTS `mailbox`;
CREATE TABLE `mailbox` (
  `username` varchar(255) NOT NULL,
  `password` varchar(255) NOT NULL,
  `name` varchar(255) CHARACTER SET utf8mb4 NOT NULL,
  `maildir` varchar(255) NOT NULL,
  `quota` bigint NOT NULL DEFAULT '0',
  `local_part` varchar(255) NOT NULL,
  `domain` varchar(255) NOT NULL,
  `created` datetime NOT NULL,
  `modified` datetime NOT NULL,
  `active` tinyint(1) NOT NULL DEFAULT '1',
  `phone` varchar(30) NOT NULL DEFAULT '',
  `email_other` varchar(255) NOT NULL DEFAULT '',
  `token` varchar(255) NOT NULL DEFAULT '',
  `token_validity` datetime NOT NULL,
  `password_expiry` datetime NOT NULL,
  `smtp_active` tinyint(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (`username`),
  KEY `domain` (`domain`)
) ENGINE=InnoDB COMMENT='Postfix Admin - Virtual Mailboxes';
INSERT INTO `mailbox` VALUES ('ana@example.org','{SHA512-CRYPT}$6$abc$def','Ana Ñ','example.org/ana/',1073741824,'ana','example.org','2024-01-31 12:00:00','2024-01-31 12:00:00',1,'','','','2024-01-31 12:00:00','2024-01-31 12:00:00',1),('bob@example.org','$1$abc$def','Bob O\'Hara','bob@example.org/',-1,'bob','example.org','2024-01-31 12:00:00','2024-01-31 12:00:00',0,'','','','2024-01-31 12:00:00','2024-01-31 12:00:00',1);

DROP TABLE IF EXISTS `vacation`;
CREATE TABLE `vacation` (
  `email` varchar(255) NOT NULL,
  `subject` varchar(255) NOT NULL,
  `body` text NOT NULL,
  `active` tinyint(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (`email`)
) ENGINE=InnoDB;

-- Dump completed on 2024-01-31 12:00:00
