// The modules of the M/M/1 example; `mm1.py` holds the same model for the embedded engine.
//
// SPDX-License-Identifier: MIT

#include <omnetpp.h>

using namespace omnetpp;

class Source : public cSimpleModule
{
  private:
    cMessage *nextJob = nullptr;
    long created = 0;

  public:
    virtual ~Source() { cancelAndDelete(nextJob); }

  protected:
    virtual void initialize() override
    {
        nextJob = new cMessage("nextJob");
        scheduleAfter(par("interArrivalTime").doubleValue(), nextJob);
    }

    virtual void handleMessage(cMessage *msg) override
    {
        cPacket *job = new cPacket("job");
        job->setBitLength(par("jobLength").intValue());
        send(job, "out");
        created++;
        scheduleAfter(par("interArrivalTime").doubleValue(), nextJob);
    }

    virtual void finish() override { recordScalar("created", created); }
};

Define_Module(Source);

class Queue : public cSimpleModule
{
  private:
    cPacketQueue waiting;
    cPacket *inService = nullptr;
    cMessage *endOfService = nullptr;
    cStdDev serviceTimes{"serviceTimes"};
    simsignal_t queueLengthSignal;
    simsignal_t busySignal;
    simsignal_t waitingTimeSignal;
    simsignal_t droppedSignal;

  public:
    virtual ~Queue()
    {
        delete inService;
        cancelAndDelete(endOfService);
    }

  protected:
    virtual void initialize() override
    {
        endOfService = new cMessage("endOfService");
        queueLengthSignal = registerSignal("queueLength");
        busySignal = registerSignal("busy");
        waitingTimeSignal = registerSignal("waitingTime");
        droppedSignal = registerSignal("dropped");
        emit(queueLengthSignal, 0);
        emit(busySignal, false);
    }

    virtual void handleMessage(cMessage *msg) override
    {
        if (msg == endOfService) {
            send(inService, "out");
            inService = nullptr;
            if (waiting.isEmpty())
                emit(busySignal, false);
            else {
                cPacket *job = waiting.pop();
                emit(queueLengthSignal, waiting.getLength());
                serve(job);
            }
            return;
        }
        cPacket *job = check_and_cast<cPacket *>(msg);
        job->setTimestamp();
        long capacity = par("capacity").intValue();
        if (!inService) {
            emit(busySignal, true);
            serve(job);
        }
        else if (capacity >= 0 && waiting.getLength() >= capacity) {
            emit(droppedSignal, job->getBitLength());
            delete job;
        }
        else {
            waiting.insert(job);
            emit(queueLengthSignal, waiting.getLength());
        }
    }

    void serve(cPacket *job)
    {
        inService = job;
        emit(waitingTimeSignal, simTime() - job->getTimestamp());
        double serviceTime = par("serviceTime").doubleValue();
        serviceTimes.collect(serviceTime);
        scheduleAfter(serviceTime, endOfService);
    }

    virtual void finish() override
    {
        recordScalar("leftOver", waiting.getLength());
        recordStatistic(&serviceTimes, "s");
    }
};

Define_Module(Queue);

class Sink : public cSimpleModule
{
  private:
    simsignal_t lifeTimeSignal;
    long bits = 0;

  protected:
    virtual void initialize() override { lifeTimeSignal = registerSignal("lifeTime"); }

    virtual void handleMessage(cMessage *msg) override
    {
        cPacket *job = check_and_cast<cPacket *>(msg);
        emit(lifeTimeSignal, simTime() - job->getCreationTime());
        bits += job->getBitLength();
        delete job;
    }

    virtual void finish() override { recordScalar("throughput", bits / simTime().dbl(), "bps"); }
};

Define_Module(Sink);
