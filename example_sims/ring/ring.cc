// The modules of the ring example; `ring.py` holds the same model for the embedded engine.
//
// SPDX-License-Identifier: MIT

#include <omnetpp.h>

using namespace omnetpp;

enum Kind { REQUEST = 1, REPLY = 2 };

class RingPacket : public cPacket
{
  public:
    int source = -1;
    int destination = -1;
    int hops = 0;

    RingPacket(const char *name, short kind) : cPacket(name, kind) {}
};

class App : public cSimpleModule
{
  private:
    cMessage *nextPacket = nullptr;
    int address;
    int numNodes;
    long sent = 0;
    simsignal_t receivedSignal;
    simsignal_t delaySignal;
    simsignal_t hopsSignal;

  public:
    virtual ~App() { cancelAndDelete(nextPacket); }

  protected:
    virtual void initialize() override
    {
        address = par("address").intValue();
        numNodes = par("numNodes").intValue();
        receivedSignal = registerSignal("received");
        delaySignal = registerSignal("delay");
        hopsSignal = registerSignal("hops");
        nextPacket = new cMessage("nextPacket");
        scheduleAfter(par("sendInterval").doubleValue(), nextPacket);
    }

    int chooseDestination()
    {
        std::string traffic = par("traffic").stdstringValue();
        if (traffic == "neighbour")
            return (address + 1) % numNodes;
        if (traffic == "opposite")
            return (address + numNodes / 2) % numNodes;
        if (traffic == "uniform")
            return (address + 1 + intuniform(0, numNodes - 2)) % numNodes;
        throw cRuntimeError("Unknown traffic '%s'", traffic.c_str());
    }

    void sendTo(int destination, const char *name, Kind kind, int64_t length)
    {
        RingPacket *packet = new RingPacket(name, kind);
        packet->source = address;
        packet->destination = destination;
        packet->setByteLength(length);
        sent++;
        send(packet, "out");
    }

    virtual void handleMessage(cMessage *msg) override
    {
        if (msg == nextPacket) {
            // Both draw random numbers, and C++ does not say which argument of a call is computed first.
            int destination = chooseDestination();
            sendTo(destination, "request", REQUEST, par("packetLength").intValue());
            scheduleAfter(par("sendInterval").doubleValue(), nextPacket);
            return;
        }
        RingPacket *packet = check_and_cast<RingPacket *>(msg);
        emit(receivedSignal, packet->getBitLength());
        emit(delaySignal, simTime() - packet->getCreationTime());
        emit(hopsSignal, packet->hops);
        if (packet->getKind() == REQUEST && par("reply").boolValue())
            sendTo(packet->source, "reply", REPLY, 64);
        delete packet;
    }

    virtual void finish() override { recordScalar("sent", sent); }
};

Define_Module(App);

class Router : public cSimpleModule
{
  private:
    int address;
    simsignal_t forwardedSignal;

  protected:
    virtual void initialize() override
    {
        address = par("address").intValue();
        forwardedSignal = registerSignal("forwarded");
    }

    virtual void handleMessage(cMessage *msg) override
    {
        RingPacket *packet = check_and_cast<RingPacket *>(msg);
        if (packet->destination == address)
            send(packet, "toApp");
        else {
            if (packet->arrivedOn("fromRing"))
                emit(forwardedSignal, 1);
            packet->hops++;
            send(packet, "toRing");
        }
    }
};

Define_Module(Router);

class Transmitter : public cSimpleModule
{
  private:
    cPacketQueue queue;
    cPacket *onLine = nullptr;
    cMessage *endOfTransmission = nullptr;
    double datarate;
    simsignal_t queueLengthSignal;
    simsignal_t transmittingSignal;

  public:
    virtual ~Transmitter()
    {
        delete onLine;
        cancelAndDelete(endOfTransmission);
    }

  protected:
    virtual void initialize() override
    {
        datarate = par("datarate").doubleValue();
        endOfTransmission = new cMessage("endOfTransmission");
        queueLengthSignal = registerSignal("queueLength");
        transmittingSignal = registerSignal("transmitting");
        emit(queueLengthSignal, 0);
        emit(transmittingSignal, false);
    }

    virtual void handleMessage(cMessage *msg) override
    {
        if (msg == endOfTransmission) {
            send(onLine, "out");
            onLine = nullptr;
            if (queue.isEmpty())
                emit(transmittingSignal, false);
            else {
                transmit(queue.pop());
                emit(queueLengthSignal, queue.getLength());
            }
        }
        else if (onLine) {
            queue.insert(check_and_cast<cPacket *>(msg));
            emit(queueLengthSignal, queue.getLength());
        }
        else {
            emit(transmittingSignal, true);
            transmit(check_and_cast<cPacket *>(msg));
        }
    }

    void transmit(cPacket *packet)
    {
        onLine = packet;
        scheduleAfter(packet->getBitLength() / datarate, endOfTransmission);
    }
};

Define_Module(Transmitter);
