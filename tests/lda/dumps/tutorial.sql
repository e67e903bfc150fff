-- MySQL dump 10.13  Distrib 5.7.44, for Linux (x86_64)
--
-- Host: localhost    Database: mail
-- ------------------------------------------------------
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40101 SET NAMES utf8 */;
/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;

--
-- Table structure for table `domains`
--

DROP TABLE IF EXISTS `domains`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `domains` (
  `domain` varchar(50) NOT NULL,
  PRIMARY KEY (`domain`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8;

LOCK TABLES `domains` WRITE;
/*!40000 ALTER TABLE `domains` DISABLE KEYS */;
INSERT INTO `domains` VALUES ('example.org'),('Example.NET');
/*!40000 ALTER TABLE `domains` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `forwardings`;
CREATE TABLE `forwardings` (
  `source` varchar(80) NOT NULL,
  `destination` text NOT NULL,
  PRIMARY KEY (`source`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8;

LOCK TABLES `forwardings` WRITE;
INSERT INTO `forwardings` VALUES ('@example.net','@example.org'),('team@example.org','ana@example.org, bob@example.org, Carl@elsewhere.example');
UNLOCK TABLES;

DROP TABLE IF EXISTS `transport`;
CREATE TABLE `transport` (
  `domain` varchar(128) NOT NULL DEFAULT '',
  `transport` varchar(128) NOT NULL DEFAULT '',
  UNIQUE KEY `domain` (`domain`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8;

LOCK TABLES `transport` WRITE;
INSERT INTO `transport` VALUES ('mail.example.net','smtp:[10.0.0.7]');
UNLOCK TABLES;

DROP TABLE IF EXISTS `users`;
CREATE TABLE `users` (
  `email` varchar(80) NOT NULL,
  `password` varchar(128) NOT NULL,
  `quota` int(10) DEFAULT '10485760',
  PRIMARY KEY (`email`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8;

LOCK TABLES `users` WRITE;
INSERT INTO `users` VALUES ('ana@example.org','$1$abcdefgh$G6Y1zqPuqCEaPxlzLV0hW0',10485760),('Bob@example.org','ab9rQmkz8P.VA',0),('o\'hara@example.org','{PLAIN}it\'s',NULL);
UNLOCK TABLES;
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;

-- Dump completed on 2024-01-31 12:00:00
